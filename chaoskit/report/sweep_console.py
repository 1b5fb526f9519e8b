"""Renders a sweep: a table for each metric, a row for each point, a column for each phase.

A number is that of all repeats of a point, with its 95 % interval behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.analysis.sweep_points import MeasuredPoint, SweepMeasurement, shown
from chaoskit.analysis.sweep_result import SweepCell, SweepResult
from chaoskit.report.console import UNBOUNDED_WIDTH, print_sections, section, two_columns
from chaoskit.report.styles import VERDICT_STYLES, safe, styled
from chaoskit.report.sweep_tables import verdict_rows, verdict_words
from chaoskit.report.table import plain_table
from chaoskit.spec.metrics import HEADLINES
from chaoskit.units import counted

_NS = 10**9
_MOST_FAILURES = 5
_STYLES = {"met": VERDICT_STYLES["met"], "broken": VERDICT_STYLES["broken"], "failed": "bold magenta"}


def render(found: SweepMeasurement, console: Console) -> None:
    """Print all points."""
    print_sections([*_parts(found, console)], console)


def cell_line(cell: SweepCell, is_judged: bool) -> Text:
    """A cell that has just ended: its name, its verdict, how long it took."""
    word = cell.verdict or cell.state
    line = (
        Text()
        .append(f"{safe(cell.name)}  ")
        .append(word if is_judged or word != "met" else "measured", _STYLES.get(word, ""))
    )
    line.append(f"  {whole_seconds(round(cell.seconds * _NS))}", "dim")
    return line.append(f"  {safe(cell.reason)}" if cell.reason else "")


def headline(sweep: SweepResult) -> str:
    """How the sweep ended in one word."""
    words = {0: "FINISHED", 3: "ERROR", 4: "DIRTY", 5: "INCOMPLETE", 130: "INTERRUPTED", 143: "INTERRUPTED"}
    return "RUNNING" if sweep.status == "running" else words[sweep.exit_code]


def summary(sweep: SweepResult) -> str:
    """How many cells have ended, and how many of them failed: `58 of 60 cells ended, 2 of them failed`."""
    ended = [cell for cell in sweep.cells if cell.state == "ended"]
    failed = sum(cell.verdict == "failed" for cell in ended)
    begin = (
        f"{'all ' if len(ended) > 1 else ''}{counted(len(ended), 'cell')}"
        if len(ended) == len(sweep.cells)
        else f"{len(ended)} of {counted(len(sweep.cells), 'cell')}"
    )
    told = f"{begin} ended, {failed} of them failed" if failed else f"{begin} ended"
    return f"{told}; {sweep.detail}" if sweep.detail else told


def overview(found: SweepMeasurement, console: Console) -> Iterator[RenderableType]:
    """The metrics of all points, as many phases beside one another as fit, and how many runs met their objectives."""
    wide = console.options.update(width=UNBOUNDED_WIDTH)
    for metric in found.metrics:
        begin = 0
        while begin < len(found.phases):
            parts = [found.phases[begin:end] for end in range(len(found.phases), begin, -1)]
            tables = [(len(part), _of_one_metric(found, metric, part)) for part in parts]
            fitting = (pair for pair in tables if console.measure(pair[1], options=wide).maximum <= console.width)
            count, table = next(fitting, tables[-1])
            yield section(HEADLINES.get(metric, metric), table)
            begin += count
    if found.sweep.has_objectives:
        yield section("Verdicts", _indented(_verdicts(found)))


def _of_one_metric(found: SweepMeasurement, metric: str, phases: Sequence[str]) -> RenderableType:
    table = _with_axes(found)
    for phase in phases:
        table.add_column(styled(phase), justify="right", no_wrap=True, header_style="bold")
    for point in found.points:
        table.add_row(*_values(point), *(styled(shown(point.of(phase, metric))) for phase in phases))
    return _indented(table)


def _parts(found: SweepMeasurement, console: Console) -> Iterator[RenderableType]:
    sweep = found.sweep
    repeats = f", {counted(max(len(sweep.cells_of(0)), 1), 'run')} each" if sweep.points else ""
    title = styled(sweep.name, "bold").append(f"  {counted(len(sweep.points), 'point')}{repeats}", "not bold dim")
    yield title.append("\n" + safe(sweep.question), "not bold")
    yield from overview(found, console)
    if failures := [cell for cell in sweep.cells if cell.verdict == "failed"]:
        yield section(
            "Failed", two_columns([(styled(each.name), styled(each.reason)) for each in failures[:_MOST_FAILURES]])
        )
    yield Text("numbers: of all runs of a point, with their 95 % interval", "dim")
    rows = [(Text("folder", "dim"), styled(sweep.folder))]
    if sweep.status == "interrupted" or (failures and sweep.status == "finished"):
        rows.append((Text("go on", "dim"), styled(f"--resume --out {sweep.folder}, with the same command")))
    yield two_columns([*rows, (Text(headline(sweep), "bold"), styled(summary(sweep)))], indent=0)


def _verdicts(found: SweepMeasurement) -> Table:
    """How many runs of each point met their objectives."""
    words = verdict_words(found)
    table = _with_axes(found)
    for word in words:
        table.add_column(word, justify="right", header_style="bold")
    styles = (*("" for _ in found.sweep.axes), *(_STYLES.get(word, "") for word in words))
    for row in verdict_rows(found):
        table.add_row(*(styled(cell, style) for cell, style in zip(row, styles, strict=True)))
    return table


def _with_axes(found: SweepMeasurement) -> Table:
    table = plain_table()
    for axis in found.sweep.axes:
        table.add_column(styled(axis), no_wrap=True, header_style="dim")
    return table


def _values(point: MeasuredPoint) -> Sequence[Text]:
    return [styled(value) for value in point.values]


def _indented(table: Table) -> RenderableType:
    return Padding(table, (0, 0, 0, 2))
