"""The page of HTML as a text: what stands in it and in which order, its policy, its packed data, its size."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hostile_text import hostile_run
from hypothesis import given
from hypothesis import strategies as st
from made_runs import Made, plan

from chaoskit.report.formats.source import Source, load
from chaoskit.report.html import assets
from chaoskit.report.html.packing import script_json, varints
from chaoskit.report.html.page import render

TARBALL = Path(__file__).parent / "uplot-1.6.32.tgz"
_VOID = {"meta", "link", "br", "img", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags, attributes and text; an element left open, or closed twice, is an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}>"

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def inside(self, tag: str) -> Iterator[str]:
        """The texts of these elements."""
        return (text for name, text in self.texts if name == tag)


def page_of(run: Path) -> str:
    """The page of this run directory."""
    return "".join(render(load(run)))


def stalling(run: Path, *objectives: str) -> Path:
    """A run whose streams stall in its fault."""
    made = Made(plan(objectives)).phases().many(0, 9000, 100).counters("wifi", 900, 100, 10_000, 20_000).vitals(30_000)
    for begin in range(10_000, 19_000, 100):
        made.stream(begin, [begin + 100, begin + 120, begin + 600, begin + 620])
    return made.many(21_000, 29_000, 100).write(run)


def test_contents_stand_in_the_order_of_a_review(tmp_path: Path) -> None:
    """First what broke, by how much and whose fault; last how to repeat it."""
    run = stalling(tmp_path / "run", "stalls_per_minute < 5 during wifi")
    (run / "experiment.yaml").write_text("name: made-by-hand\n# the file itself\n")

    page = page_of(run)

    parts = [
        "stalls_per_minute &lt; 5 during wifi is broken",
        "What broke",
        "By how much",
        "Whose fault",
        ">Objectives</h2>",
        ">Baseline against fault</h2>",
        ">Every stream</h2>",
        ">TCP and queues</h2>",
        ">Faults, requested and measured</h2>",
        ">Warnings</h2>",
        ">Machine and versions</h2>",
        ">How to repeat it</h2>",
        "# the file itself",
    ]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)


def test_a_browser_runs_these_scripts_and_no_other(tmp_path: Path) -> None:
    """The policy has the hash of each script and style in the page; nothing is in an attribute, or loaded."""
    reader = Reader(page_of(stalling(tmp_path / "run")))
    (policy,) = [each["content"] for tag, each in reader.tags if tag == "meta" and "http-equiv" in each]
    assert policy is not None

    kinds = [attributes for tag, attributes in reader.tags if tag == "script"]
    programs = [text for text, kind in zip(reader.inside("script"), kinds, strict=True) if not kind]
    for text in (*programs, *reader.inside("style")):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert len(programs) == len(assets.SCRIPTS)
    assert "unsafe" not in policy
    names = {name for _, attributes in reader.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("style", "src", "srcset")}
    links = {attributes["href"] for tag, attributes in reader.tags if tag == "a"}
    assert all(link is not None and link.startswith("#") for link in links)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """The page of a run in which everything is a harmless text."""
    return Reader(page_of(hostile_run(tmp_path_factory.mktemp("usual"), "said")))


def test_hostile_text_stays_text(usual: Reader, hostile: Source) -> None:
    """Whatever a server says adds no element, and no attribute but those of the templates."""
    reader = Reader("".join(render(hostile)))

    assert {tag for tag, _ in reader.tags} <= {tag for tag, _ in usual.tags}
    assert {name for _, each in reader.tags for name in each} == {name for _, each in usual.tags for name in each}
    assert len([1 for tag, _ in reader.tags if tag == "script"]) == len([1 for tag, _ in usual.tags if tag == "script"])


def test_every_picture_has_a_name_and_a_table(tmp_path: Path) -> None:
    """Who cannot see a picture hears what it is, and finds its numbers below it."""
    reader = Reader(page_of(stalling(tmp_path / "run", "stalls_per_minute < 5 during wifi")))

    pictures = [each for tag, each in reader.tags if each.get("role") in ("img", "application")]
    assert len(pictures) >= 5
    assert all(each.get("aria-label") for each in pictures)
    assert sum(tag == "details" for tag, _ in reader.tags) >= len([1 for each in pictures if "data-chart" in each]) + 1
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Made(plan(["ttft_p95 < 1s"]), outcome=None).phases().many(0, 8000, 100), "This run did not finish: killed"),
        (Made(plan(["ttft_p95 < 1s"])).phases(), "No stream ended, so there are no pictures."),
        (Made(plan(["ttft_p95 < 1s"])).phases().many(0, 50, 100), "1 stream"),
        (Made(plan(["ttft_p99 < 121ms during wifi"])).phases().many(0, 30_000, 500), "UNDECIDED"),
        (Made(None).many(0, 3000, 100), "No objectives were set"),
    ],
    ids=["killed", "without streams", "one stream", "undecided", "probe"],
)
def test_every_kind_of_run(made: Made, told: str, tmp_path: Path) -> None:
    """Each has a whole page, which says what is special about it."""
    page = page_of(made.write(tmp_path / "run"))

    Reader(page)
    assert told in page


def test_a_long_run_has_a_bounded_page(tmp_path: Path) -> None:
    """More streams than a picture can hold: the worst and some others, and a sentence says so."""
    made = Made().phases()
    for number in range(3200):
        begin = 9 * number
        made.stream(begin, [begin + 50, begin + 60 if number % 100 else begin + 900])

    page = page_of(made.write(tmp_path / "run"))

    assert re.search(r"The picture shows 2\d\d\d of 3200 streams: those with the longest stalls", page)


def test_u_plot_is_what_npm_has() -> None:
    """The package has the integrity that npm records, and the vendored files are those in it."""
    package = TARBALL.read_bytes()
    url, integrity = assets.UPLOT_PACKAGE

    assert f"sha512-{base64.b64encode(hashlib.sha512(package).digest()).decode()}" == integrity
    assert url.endswith(f"uplot-{assets.UPLOT_VERSION}.tgz")
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for name, vendored in (
            ("dist/uPlot.iife.min.js", "uPlot.iife.min.js"),
            ("dist/uPlot.min.css", "uPlot.min.css"),
            ("LICENSE", "uPlot.LICENSE"),
        ):
            file = archive.extractfile(f"package/{name}")
            assert file is not None
            assert file.read() == (assets.FOLDER / "vendor" / vendored).read_bytes()


def test_scripts_end_where_they_end() -> None:
    """No script or style has in it what ends its element."""
    for name in (*assets.SCRIPTS, *assets.STYLES):
        assert "</" not in assets.text_of(name) or "</script" not in assets.text_of(name).lower()
        assert "</style" not in assets.text_of(name).lower()
        assert "<!--" not in assets.text_of(name)


def unpacked(block: bytes, count: int) -> list[int]:
    """The numbers of a column, read as `scripts/unpack.js` does."""
    found, place, total = [], 0, 0
    for _ in range(count):
        number, scale = 0, 1
        while True:
            byte = block[place]
            place += 1
            number += (byte & 0x7F) * scale
            scale *= 128
            if byte < 0x80:
                break
        total += -(number + 1) // 2 if number % 2 else number // 2
        found.append(total)
    assert place == len(block)
    return found


@given(st.lists(st.integers(-(2**52), 2**52)))
def test_columns_come_back(numbers: list[int]) -> None:
    """Any integers that JavaScript can hold."""
    assert unpacked(varints(np.array(numbers, dtype=np.int64)), len(numbers)) == numbers


def test_the_data_is_raw_deflate(tmp_path: Path) -> None:
    """A browser's DecompressionStream reads it, and its header names the columns."""
    page = page_of(stalling(tmp_path / "run"))
    (block,) = [text for text in Reader(page).inside("script") if text.startswith('{"deflated"')]
    body = zlib.decompress(base64.b64decode(json.loads(block)["deflated"]), -15)
    length = int.from_bytes(body[:4], "little")
    header = json.loads(body[4 : 4 + length])

    assert dict(header["columns"])["at"] == 5 * 90 + 4 * 90 + 5 * 80
    assert [phase["name"] for phase in header["phases"] if phase["isFault"]] == ["wifi"]
    assert len(header["sentences"]) == 90


@given(st.text())
def test_json_in_a_script_cannot_end_it(text: str) -> None:
    """It is ASCII without `<`, and means the same."""
    written = script_json({"said": text + "</script>\u2028"})

    assert written.isascii()
    assert "<" not in written
    assert json.loads(written) == {"said": text + "</script>\u2028"}
