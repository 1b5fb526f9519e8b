"""Measures the page for a browser: seconds to make it, its size, seconds to open it, and milliseconds of a zoom.

    PYTHONPATH=tests python tests/bench/html_page.py [--streams 1000] [--tokens 500]

A run of three phases is written into the temporary folder and deleted. The page is opened by Debian's chromium; a zoom
is from a turn of the wheel until the picture of all streams is drawn.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from long_runs import MIB, write
from playwright.sync_api import sync_playwright

from chaoskit import clock
from chaoskit.report.formats.source import load
from chaoskit.report.html.page import render

ZOOM = """
(canvas) => new Promise((done) => {
  const times = [];
  const turn = () => {
    const begun = performance.now();
    const deltaY = times.length % 2 ? 40 : -40;
    canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, ctrlKey: true, clientX: 600, cancelable: true }));
    requestAnimationFrame(() => {
      times.push(performance.now() - begun);
      if (times.length < 40) setTimeout(turn);
      else done(times);
    });
  };
  turn();
})
"""


def main() -> None:
    """Write, make the page, open it, zoom, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        run, page = Path(folder, "run"), Path(folder, "report.html")
        tokens = write(run, options.streams, options.tokens)
        source = load(run)
        begun = clock.now()
        page.write_text("".join(render(source)))
        made = (clock.now() - begun) / 1e9
        opened, frames = _opened(page)
        size = page.stat().st_size / MIB
    print(f"page of {tokens:,} tokens in {options.streams:,} streams, beside the analysis")
    print(f"  {made:.1f} s to make, {size:.2f} MiB, {opened:.1f} s to open")
    print(f"  a zoom takes {statistics.median(frames):.0f} ms (median), {max(frames):.0f} ms at most")


def _opened(page: Path) -> tuple[float, list[float]]:
    """The seconds until its pictures were drawn, and the milliseconds of some zooms."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page()
        begun = clock.now()
        tab.goto(page.as_uri())
        tab.locator("[data-run][data-state=ready]").wait_for(state="attached")
        seconds = (clock.now() - begun) / 1e9
        frames = tab.locator(".timeline canvas").evaluate(ZOOM)
        browser.close()
    return seconds, frames


if __name__ == "__main__":
    main()
