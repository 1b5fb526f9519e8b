"use strict";
// Brings the pictures of a page to life: of each run when it comes near the window, the first one at once.

const theme = new Theme();

async function startRun(section) {
  if (section.dataset.state) return;
  section.dataset.state = "starting";
  const block = section.querySelector("script[type='application/json']");
  if (!canUnpack()) {
    say(section, "The pictures need a browser with DecompressionStream: Chrome 103, Firefox 113, Safari 16.4 or later.");
    return;
  }
  try {
    const data = await unpack(block);
    const run = new Run(data);
    const view = new View(Math.min(0, ...run.scheduled.slice(0, 1)), run.end);
    section.querySelectorAll(".pictures-missing").forEach((note) => note.remove());
    section.querySelectorAll("[data-picture]").forEach((place) => {
      place.hidden = false;
    });
    const root = section.querySelector(".timeline");
    if (root) new TimelineInput(root, new Timeline(root, run, view, theme));
    for (const place of section.querySelectorAll("[data-chart]")) {
      const spec = data.charts[place.dataset.chart];
      drawChart(place, spec, run, spec.overTime ? view : null, theme);
    }
    section.dataset.state = "ready";
  } catch (error) {
    say(section, `The pictures of this run cannot be drawn: ${error.message}. The tables have the same numbers.`);
    throw error;
  }
}

function say(section, sentence) {
  section.dataset.state = "failed";
  section.querySelectorAll(".pictures-missing").forEach((note) => {
    note.textContent = sentence;
    note.hidden = false;
  });
}

const sections = [...document.querySelectorAll("[data-run]")];
const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => startRun(entry.target)),
  { rootMargin: "600px" },
);
sections.forEach((section) => near.observe(section));

/** A link to a folded variant unfolds it. */
function unfold() {
  const place = document.getElementById(location.hash.slice(1));
  if (place instanceof HTMLDetailsElement) place.open = true;
}
addEventListener("hashchange", unfold);
unfold();
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
