"""Writes the page of a suite: its verdict, and a row for each run with a link to its own page.

Rules are those of the page of a run (`page`), whose style it has; there is no script in it. A link is relative, and
stands only where the run's page was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from chaoskit import __version__
from chaoskit.analysis.formatting import whole_seconds
from chaoskit.analysis.suite_result import SuiteResult, SuiteRunResult, read_headline
from chaoskit.report.formats import FORMATS
from chaoskit.report.html import assets
from chaoskit.report.html.page import Verdict, environment
from chaoskit.report.suite import headline, outcome_words, purpose, summary, why
from chaoskit.units import counted

_NS = 10**9
_STYLES = {None: "met", "broken": "broken", "error": "crashed", "undecided": "undecided", "not-run": "undecided"}
_WORDS = {"PASSED": "met", "UNDECIDED": "undecided", "RUNNING": "running", "INTERRUPTED": "interrupted"}


@dataclass(frozen=True)
class Row:
    """A run: `link` leads to its own page, "" where there is none."""

    name: str
    link: str
    verdict: Verdict
    expect: str
    headline: str
    purpose: str
    owner: str
    took: str


def write(suite: SuiteResult, file: BinaryIO, to_folder: str = "") -> None:
    """Write it. `to_folder`: how the suite's folder is reached from that of the page; "" where they are the same."""
    template = environment().get_template("suite.html")
    pieces = template.generate(
        suite=suite,
        version=__version__,
        policy=assets.policy(),
        styles=[assets.text_of(name) for name in assets.STYLES],
        kicker=f"chaoskit gameday of {counted(len(suite.runs), 'run')} · {suite.started}",
        verdict=Verdict(headline(suite), _WORDS.get(headline(suite), "broken")),
        sentence=f"{summary(suite)}.",
        rows=[_row(suite, run, to_folder) for run in _worst_first(suite)],
    )
    for piece in pieces:
        file.write(piece.encode("utf-8", "backslashreplace"))


def _worst_first(suite: SuiteResult) -> list[SuiteRunResult]:
    """What did not end as expected stands first."""
    return sorted(suite.runs, key=lambda run: run.failure is None)


def _row(suite: SuiteResult, run: SuiteRunResult, to_folder: str) -> Row:
    style = "none" if run.is_as_expected is None else _STYLES[run.failure]
    place = _directory(suite, run)
    found = read_headline(place) if place is not None else ""
    return Row(
        name=run.name,
        link=_link(place, run, to_folder),
        verdict=Verdict(outcome_words(run).upper(), style),
        expect=run.expect,
        headline=why(run) if run.failure is not None or not found else found,
        purpose=": ".join(purpose(run)) if purpose(run)[1] else "",
        owner=run.owner,
        took=whole_seconds(round(run.seconds * _NS)) if run.seconds else "",
    )


def _directory(suite: SuiteResult, run: SuiteRunResult) -> Path | None:
    """Its run directory, which is in the suite's folder."""
    is_inside = run.directory and suite.folder and Path(run.directory).name == run.directory != ".."
    return Path(suite.folder) / run.directory if is_inside else None


def _link(place: Path | None, run: SuiteRunResult, to_folder: str) -> str:
    name = FORMATS["html"].file
    if place is None or not (place / name).is_file():
        return ""
    return quote("/".join(filter(None, (to_folder, run.directory, name))))
