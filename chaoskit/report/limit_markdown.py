"""Writes the result of a search for a limit as Markdown: for a pull request, or the summary of a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from chaoskit.analysis.limits.limit_result import LimitResult
from chaoskit.report.limit_console import headline, said_of
from chaoskit.report.limit_tables import DOSES, FRONTIER, Row, dose_rows, frontier_rows, label
from chaoskit.report.markdown_text import bounded, code, folded, prose, table, warning_list
from chaoskit.units import counted

_MARKS = {0: "✅", 5: "❔"}


def write(found: LimitResult, file: BinaryIO) -> None:
    """Write it; what does not fit into a step's summary is named."""
    file.write(bounded(_parts(found)).encode())


def _parts(found: LimitResult) -> Iterator[tuple[str, str]]:
    yield "headline", f"## {_MARKS.get(found.exit_code, '❌')} {headline(found)} {prose(found.name)}"
    for search in found.searches:
        yield "limits", f"**{prose(said_of(found, search))}**"
    if found.detail:
        yield "why", prose(found.detail)
    if found.warnings:
        yield "warnings", warning_list(found.warnings)
    asked = f"{code(found.path)} from {prose(found.easy)} to {prose(found.hard)}"
    yield "doses", f"{counted(len(found.runs), 'run')}, {asked}"
    if len(found.searches) > 1:
        yield "limits", _table(FRONTIER, frontier_rows(found))
    for search in found.searches:
        yield "doses", folded(" ".join(filter(None, ("Doses", code(label(search))))), _table(DOSES, dose_rows(search)))
    yield "versions", f"<sub>{prose(f'chaoskit {found.chaoskit}, {found.started}, {found.file}')}</sub>"


def _table(header: Sequence[str], rows: Iterator[Row]) -> str:
    return table(header, ([prose(cell) for cell in row] for row in rows))
