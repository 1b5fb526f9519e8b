"""The page of HTML in a real browser: it opens, zooms, tells what is pointed at, and obeys nobody.

The browser is Debian's chromium, driven by Playwright.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hostile_text import HOSTILE, hostile_run
from made_runs import Made, plan
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, Request, sync_playwright

from chaoskit.report.formats.source import load
from chaoskit.report.html.page import render

BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome")
WATCH = """
addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective}`));
"""
MATRIX = """\
name: prompt-sizes
question: Do the sizes matter?
stage: {lab: edge}
workload: {request-rate: 10/s, output-tokens: 5}
faults: {wifi: {link: client-router, direction: down, netem: {delay: 30ms}}}
timeline: [{baseline: 10s}, {wifi: 10s}, {recovery: 10s}]
objectives: [stalls_per_minute < 5 during wifi]
matrix: {faults.wifi.netem.delay: [30ms, 60ms, 90ms]}
"""


@dataclass
class Opened:
    """A page in a browser. `complaints` are errors on its console, dialogs and requests: there must be none."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """From now on."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        if not (request.url.startswith("file:") and request.is_navigation_request()):
            self.complaints.append(request.url)

    def go(self, path: Path) -> Page:
        """Open a page and wait until its pictures are drawn."""
        self.page.goto(path.as_uri())
        self.page.get_by_role("heading", name="Objectives").first.scroll_into_view_if_needed()
        self.page.locator("[data-run][data-state=ready]").first.wait_for(state="attached")
        return self.page

    @property
    def shown(self) -> tuple[float, float]:
        """The time that the timeline shows, in seconds."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        words = self.page.locator(".range").first.inner_text().split(" s")[0]
        begin, end = words.split("–")
        return float(begin), float(end)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """One driver for the module."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One browser for the module."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program, "no Chromium is installed: apt-get install chromium-headless-shell"
    running = playwright.chromium.launch(executable_path=program)
    yield running
    running.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """An empty page that complains about everything that it should not do; it must not have in the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(WATCH)
    found = Opened(context.new_page())
    found.listen()
    yield found
    context.close()
    assert found.complaints == []


def stalling(run: Path, streams: int) -> Path:
    """A run of that many streams; those in its fault stall once, for 480 ms."""
    made = Made(plan(["stalls_per_minute < 5 during wifi"])).phases()
    made.counters("wifi", 900, 100, 10_000, 20_000).handshakes(1000, [10, 11, 12])
    for number in range(streams):
        begin = 100 + number * 29_000 / streams
        is_bad = 10_000 < begin < 20_000
        made.stream(begin, [begin + after for after in ((100, 120, 600, 620) if is_bad else (100, 120, 140, 160))])
    made.stream(15_000, [15_100], "reset", ended=15_400, detail="connection reset by peer")
    return made.write(run)


def page_of(run: Path, folder: Path) -> Path:
    """The page of a run, as a file."""
    path = folder / "report.html"
    path.write_bytes("".join(render(load(run))).encode())
    return path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Pages by their number of streams."""
    found = {}
    for streams in (1, 100, 1000):
        folder = tmp_path_factory.mktemp(f"streams-{streams}")
        found[streams] = page_of(stalling(folder / "run", streams), folder)
    return found


@pytest.mark.parametrize("streams", [1, 100, 1000])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens(streams: int, width: int, pages: dict[int, Path], opened: Opened) -> None:
    """On a desk, and on a phone by night: without an error, a request, or a bar to scroll sideways."""
    opened.page.set_viewport_size({"width": width, "height": 900})
    opened.page.emulate_media(color_scheme="dark" if width == 390 else "light")

    page = opened.go(pages[streams])

    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.querySelectorAll('.pictures-missing').length") == 0
    drawn = "(c) => new Set(c.getContext('2d').getImageData(60, 30, c.width - 80, c.height - 60).data).size"
    assert page.locator(".timeline canvas").evaluate(drawn) > 8  # more than one colour
    assert page.locator(".uplot canvas").count() >= 2


def test_the_wheel_zooms_where_the_pointer_is(pages: dict[int, Path], opened: Opened) -> None:
    """Once the picture has the focus, or with Ctrl; before, it scrolls the page."""
    page = opened.go(pages[100])
    canvas = page.locator(".timeline canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    whole = opened.shown

    page.mouse.wheel(0, 10)
    assert opened.shown == whole
    canvas.focus()
    page.mouse.wheel(0, -600)

    begin, end = opened.shown
    assert end - begin < (whole[1] - whole[0]) / 2
    assert begin < sum(whole) / 2 < end


def test_buttons_and_drag_move(pages: dict[int, Path], opened: Opened) -> None:
    """Zoom in, drag to the left, and see a later part; then the whole run again."""
    page = opened.go(pages[100])
    whole = opened.shown
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Zoom in").click()
    before = opened.shown
    assert before[1] - before[0] == pytest.approx((whole[1] - whole[0]) / 4, rel=0.05)

    box = page.locator(".timeline canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 700, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 80, steps=4)
    page.mouse.up()
    assert opened.shown[0] > before[0]

    page.get_by_role("button", name="Earlier").click()
    page.get_by_role("button", name="Whole run").click()
    assert opened.shown == whole


def test_keys_reach_every_stall(pages: dict[int, Path], opened: Opened) -> None:
    """Focus says what the first stall rests on; n and p move between stalls, arrows between what happened."""
    page = opened.go(pages[100])
    told = page.locator(".told")

    page.locator(".timeline canvas").focus()
    first = told.inner_text()
    page.keyboard.press("n")
    second = told.inner_text()
    page.keyboard.press("p")

    assert "480 ms of silence" in first
    assert "Records: tokens.jsonl" in first
    assert second != first
    assert told.inner_text() == first
    page.keyboard.press("ArrowRight")
    assert "ended at" in told.inner_text()
    page.keyboard.press("ArrowDown")
    assert told.inner_text().startswith("Stream")
    whole = opened.shown
    page.keyboard.press("Enter")
    close = opened.shown
    assert close[1] - close[0] < (whole[1] - whole[0]) / 10
    page.keyboard.press("Shift+ArrowRight")
    assert opened.shown[0] > close[0]
    page.keyboard.press("0")
    assert opened.shown == whole


def test_pointing_at_a_stall_tells_its_evidence(pages: dict[int, Path], opened: Opened) -> None:
    """A tip beside the pointer; a click keeps it below the picture."""
    page = opened.go(pages[100])
    page.locator("select").select_option("worst")
    canvas, tip = page.locator(".timeline canvas"), page.locator(".tip")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    found = ""
    for x in range(int(box["width"] / 4), int(box["width"] * 3 / 4), 4):
        page.mouse.move(box["x"] + x, box["y"] + 24 + 12)
        if tip.is_visible() and "of silence" in (found := tip.inner_text()):
            break

    assert "480 ms of silence" in found
    page.mouse.down()
    page.mouse.up()
    assert page.locator(".told").inner_text() == found


def test_charts_and_timeline_show_the_same_time(pages: dict[int, Path], opened: Opened) -> None:
    """What is selected in a chart is shown in the timeline; a double click shows all."""
    page = opened.go(pages[100])
    whole = opened.shown
    over = page.locator(".tall .u-over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40, steps=5)
    page.mouse.up()

    begin, end = opened.shown
    assert begin == pytest.approx(whole[0] + 0.25 * (whole[1] - whole[0]), abs=0.5)
    assert end == pytest.approx(whole[0] + 0.5 * (whole[1] - whole[0]), abs=0.5)
    over.dblclick(position={"x": 50, "y": 40})
    assert opened.shown == whole


def test_a_screen_reader_hears_it(pages: dict[int, Path], opened: Opened) -> None:
    """The timeline has a name, its keys are described, and its stalls are a table."""
    page = opened.go(pages[100])
    page.locator("details").evaluate_all("(all) => all.forEach((each) => { each.open = true; })")

    heard = page.locator("main").aria_snapshot()

    assert 'application "Stream timeline: 101 streams, 35 stalls.' in heard
    assert '- columnheader "Evidence"' in heard
    assert 'interval 114–130/min, bound 5/min: broken"' in heard
    assert page.locator(".timeline canvas").get_attribute("aria-describedby") == "run-keys"
    assert page.locator("#run-keys").count() == 1


@pytest.mark.parametrize("name", ["script", "attribute", "cdata", "lines", "long", "bidi", "template"])
def test_nobody_is_obeyed(name: str, tmp_path: Path, opened: Opened) -> None:
    """A page in which a server said everything runs no script of its, asks for nothing, and is not wider."""
    page = opened.go(page_of(hostile_run(tmp_path / "run", HOSTILE[name]), tmp_path))
    page.locator(".timeline canvas").focus()
    page.keyboard.press("ArrowDown")

    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    assert page.evaluate("document.images.length") == 0


def test_paper_is_white(pages: dict[int, Path], opened: Opened, tmp_path: Path) -> None:
    """Also by night: light colours, tables opened, buttons gone; and it becomes a PDF of some pages."""
    opened.page.emulate_media(color_scheme="dark")
    page = opened.go(pages[100])
    page.emulate_media(media="print", color_scheme="dark")

    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    widest = max(page.locator("canvas").evaluate_all("(all) => all.map((each) => each.clientWidth)"))
    printed = page.pdf(path=tmp_path / "report.pdf")

    assert background == "rgb(255, 255, 255)"
    assert widest <= 640
    assert not page.locator(".tools").first.is_visible()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") >= 2


def test_an_old_browser(pages: dict[int, Path], opened: Opened) -> None:
    """Without DecompressionStream the page says so, and has everything but its pictures."""
    opened.page.add_init_script("delete globalThis.DecompressionStream")
    opened.page.goto(pages[100].as_uri())
    opened.page.locator("[data-state=failed]").wait_for(state="attached")

    assert (
        "The pictures need a browser with DecompressionStream" in opened.page.locator(".pictures-missing").inner_text()
    )
    assert opened.page.locator("canvas").is_hidden()
    assert opened.page.get_by_text("What broke").is_visible()


def test_a_matrix(tmp_path: Path, opened: Opened) -> None:
    """What broke over all, an overview, and folded variants: their pictures are drawn when one is unfolded."""
    top = tmp_path / "matrix"
    top.mkdir()
    (top / "experiment.yaml").write_text(MATRIX)
    stalling(top / "delay=30ms", 50)
    stalling(top / "delay=60ms", 50)
    path = page_of(top, tmp_path)
    page = opened.page
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(path.as_uri())

    assert page.get_by_text("Whose fault").first.is_visible()
    assert page.get_by_role("heading", name="All variants").is_visible()
    assert page.evaluate("document.documentElement.scrollHeight") < 5000
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    folded = page.locator("details.variant")
    assert "NOT RUN" in folded.nth(2).inner_text()
    page.goto(f"{path.as_uri()}#variant-1")
    folded.nth(1).get_by_role("heading", name="Every stream").scroll_into_view_if_needed()
    page.locator("article[data-state=ready]").wait_for(state="attached")
    assert folded.nth(1).locator(".uplot").count() >= 2
    assert folded.nth(0).locator(".uplot").count() == 0


@pytest.mark.parametrize("width", [390, 1440])
def test_the_first_paint_has_no_note_of_what_is_to_come(width: int, pages: dict[int, Path], opened: Opened) -> None:
    """A screenshot that is taken at once shows the result: no sentence says that something is being drawn."""
    opened.page.set_viewport_size({"width": width, "height": 900})
    opened.page.goto(pages[100].as_uri(), wait_until="commit")
    opened.page.locator("footer").wait_for(state="attached")

    assert not opened.page.locator(".pictures-missing").first.is_visible()


def test_no_card_is_alone_in_its_row(pages: dict[int, Path], opened: Opened) -> None:
    """The answers at the top fill their rows, but for the last one by one card at most."""
    for width in (1440, 1000):
        opened.page.set_viewport_size({"width": width, "height": 900})
        opened.page.goto(pages[100].as_uri())
        tops = opened.page.locator(".answers > div").evaluate_all("(cards) => cards.map((card) => card.offsetTop)")
        rows = [tops.count(top) for top in dict.fromkeys(tops)]

        assert min(rows) > 1
        assert max(rows) - min(rows) <= 1


def test_a_number_on_a_phone_says_its_phase(pages: dict[int, Path], opened: Opened) -> None:
    """Columns that several phases have name theirs where each cell stands alone; no interval is cut off at the edge."""
    opened.page.set_viewport_size({"width": 390, "height": 900})
    opened.page.goto(pages[100].as_uri())

    labels = opened.page.locator("#run-numbers > .scroll td[data-label]").evaluate_all(
        "(cells) => cells.slice(0, 7).map((cell) => cell.dataset.label)"
    )

    assert labels == [
        *("baseline", "wifi", "difference, wifi", "ratio, wifi"),
        *("recovery", "difference, recovery", "ratio, recovery"),
    ]
    overflowing = "(cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.innerText)"
    assert opened.page.locator("#run-numbers > .scroll td[data-label]").evaluate_all(overflowing) == []
