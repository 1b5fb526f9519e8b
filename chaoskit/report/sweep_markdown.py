"""Writes what a sweep measured as Markdown: for a pull request, or the summary of a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from chaoskit.analysis.sweep_points import SweepMeasurement
from chaoskit.report.markdown_text import bounded, code, folded, prose, table, warning_list
from chaoskit.report.sweep_console import headline, summary
from chaoskit.report.sweep_tables import metric_rows, verdict_rows, verdict_words
from chaoskit.spec.metrics import HEADLINES
from chaoskit.units import counted

_MARKS = {"FINISHED": "✅", "INCOMPLETE": "❔", "RUNNING": "⏳"}


def write(found: SweepMeasurement, file: BinaryIO) -> None:
    """Write it; what does not fit into a step's summary is named."""
    file.write(bounded(_parts(found)).encode())


def _parts(found: SweepMeasurement) -> Iterator[tuple[str, str]]:
    sweep, word = found.sweep, headline(found.sweep)
    yield "headline", f"## {_MARKS.get(word, '❌')} {word} {prose(sweep.name)}"
    yield "headline", f"**{prose(summary(sweep))}**"
    if sweep.question:
        yield "question", prose(sweep.question)
    if sweep.warnings:
        yield "warnings", warning_list(sweep.warnings)
    words = verdict_words(found)
    if sweep.has_objectives or "failed" in words:
        yield "verdicts", _table((*sweep.axes, *words), verdict_rows(found))
    if reasons := [reason for point in found.points for reason in point.reasons]:
        yield "failures", "\n".join(f"- {prose(each)}" for each in reasons)
    for metric in found.metrics:
        rows = _table((*sweep.axes, *found.phases), metric_rows(found, metric))
        yield "metrics", folded(prose(HEADLINES.get(metric, metric)), rows)
    runs = counted(max(len(sweep.cells_of(0)), 1), "run")
    yield "points", f"{counted(len(sweep.points), 'point')}, {runs} each; numbers of all of them, with 95 % intervals"
    paths = ", ".join(map(code, sweep.paths))
    yield "versions", f"<sub>{prose(f'chaoskit {sweep.chaoskit}, {sweep.started}, {sweep.file}')} {paths}</sub>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return table([prose(cell) for cell in header], ([prose(cell) for cell in row] for row in rows))
