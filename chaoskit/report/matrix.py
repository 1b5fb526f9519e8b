"""Renders the variants of a matrix: a table for each headline metric, a row for each variant.

Each phase has its change against the same variant's reference phase beside it if the screen is wide enough; phases that
do not fit go into another table below. With one phase the metrics are the columns of a single table. A metric that is
the same everywhere is one line. The last line is the verdict of the matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress, groupby

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.chains.model_queue import compare_gauges
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.matrix import MatrixResult, VariantResult
from chaoskit.analysis.result import Result
from chaoskit.report import sparkline
from chaoskit.report.console import UNBOUNDED_WIDTH, print_sections, section, two_columns
from chaoskit.report.console import headline as run_headline
from chaoskit.report.effects import is_inconclusive
from chaoskit.report.headline import headline, matrix_word, reason, variant_word
from chaoskit.report.model_queue import queue_table
from chaoskit.report.styles import safe, styled, titled
from chaoskit.report.table import change_cells, could_be_chance, metric_cell, plain_table
from chaoskit.units import counted

HEADLINES = {
    "ttft_p50": "TTFT p50",
    "ttft_p95": "TTFT p95",
    "interruption_rate": "Interrupted streams",
    "stalls_per_minute": "Stalls",
}
_LONG_REASON = 60  # characters: one that several variants share stands once
_MIN_POINTS = 3  # of a curve
_STYLES = dict.fromkeys(("DIRTY", "CRASHED", "BROKEN"), "bold red") | {"MET": "bold green", "MEASURED": "bold"}
Fits = Callable[[RenderableType], bool]


def render(matrix: MatrixResult, console: Console) -> None:
    """Print all variants."""
    print_sections([*_parts(matrix, console)], console)


def opening(name: str, places: Sequence[str]) -> Text:
    """What is about to run, and where: one reason for each variant."""
    return titled(name, f": {counted(len(places), 'variant')}, {'; '.join(dict.fromkeys(places))}")


def variant_line(row: VariantResult, number: int, of: int) -> Text:
    """A variant that has just ended: its number, its name, its verdict, and the first reason for it."""
    line = Text().append(f"{number:>{len(str(of))}}/{of}  ", "dim").append(f"{safe(row.name)}  ")
    return line.append_text(_verdict(row)).append(f"  {safe(_reason(row))}")


def _parts(matrix: MatrixResult, console: Console) -> Iterator[RenderableType]:
    yield _title(matrix)
    yield from overview(matrix, console)
    last = (_word(matrix), styled(headline(matrix)))
    yield two_columns([(Text("records", style="dim"), styled(matrix.run)), last], indent=0)


def overview(matrix: MatrixResult, console: Console) -> Iterator[RenderableType]:
    """The headline metrics of all variants, and the verdict on each."""
    wide = console.options.update(width=UNBOUNDED_WIDTH)

    def fits(table: RenderableType) -> bool:
        return console.measure(table, options=wide).maximum <= console.width

    phases = list(dict.fromkeys(phase.name for result in matrix.results for phase in result.phases))
    if len(phases) == 1:
        yield section(phases[0], _of_one_phase(matrix, phases[0]))
    elif phases:
        for metric in HEADLINES:
            yield from _of_one_metric(matrix, phases, metric, fits)
    if any(result.models for result in matrix.results):
        yield section("Model queue", _queues(matrix, fits))
    yield from _notes(matrix)
    yield _verdicts(matrix)


def _title(matrix: MatrixResult) -> Text:
    title = styled(matrix.name, "bold").append(f"  {counted(len(matrix.variants), 'variant')}", style="not bold dim")
    where = {f", {safe(result.clock)} time, kernel {safe(result.kernel)}" for result in matrix.results if result.clock}
    if len(where) == 1:
        title.append(where.pop(), style="not bold dim")
    return title.append("\n" + safe(matrix.question), style="not bold")


def _of_one_phase(matrix: MatrixResult, phase: str) -> RenderableType:
    table = _with_axes(matrix)
    for label in HEADLINES.values():
        table.add_column(label, justify="right", no_wrap=True, header_style="bold")
    for row, axes in zip(matrix.variants, _axes(matrix), strict=True):
        table.add_row(*axes, *(_cell(row.result, phase, metric) for metric in HEADLINES))
    return _indented(table)


def _of_one_metric(matrix: MatrixResult, phases: Sequence[str], metric: str, fits: Fits) -> Iterator[RenderableType]:
    """As few tables as the width of the screen allows; or a line, when all values are equal."""
    cells = {metric_cell(phase.metrics, metric) for result in matrix.results for phase in result.phases}
    if len(cells) == 1:
        yield Text().append(HEADLINES[metric], "bold").append(f"  {cells.pop()} everywhere")
        return
    while phases:
        tables = [(count, _beside(matrix, phases[:count], metric)) for count in range(len(phases), 0, -1)]
        tables.insert(1, (len(phases), _beside(matrix, phases, metric, with_changes=False)))
        count, table = next(filter(lambda each: fits(each[1]), tables), tables[-1])
        yield section(HEADLINES[metric], table)
        if table is tables[1][1]:
            yield styled("  not shown: the changes, for want of columns", "dim")
        phases = phases[count:]


def _beside(matrix: MatrixResult, phases: Sequence[str], metric: str, with_changes: bool = True) -> RenderableType:
    """A column for each phase, and one for its change where there is one."""
    table = _with_axes(matrix)
    rows = [[*axes] for axes in _axes(matrix)]
    curves = _curves(matrix, phases, metric)
    last = [Text("curve", "dim")]
    for at, phase in enumerate(phases):
        columns = [[_cell(row.result, phase, metric) for row in matrix.variants]]
        table.add_column(styled(phase), justify="right", no_wrap=True, header_style="bold")
        last.append(Text(curves[at] if curves else "", "dim"))
        changed = [_change(row.result, phase, metric) for row in matrix.variants]
        if with_changes and any(changed):
            columns.append(changed)
            table.add_column("change", no_wrap=True, header_style="dim")
            last.append(Text())
        for column in columns:
            for row, cell in zip(rows, column, strict=True):
                row.append(cell)
    for row in [*rows, *([last] if curves else [])]:
        table.add_row(*row)
    return _indented(table)


def _with_axes(matrix: MatrixResult) -> Table:
    table = plain_table()
    for axis in matrix.axes:
        table.add_column(styled(axis), no_wrap=True, header_style="dim")
    return table


def _axes(matrix: MatrixResult) -> Iterator[list[Text]]:
    """Each row's values on the axes; those that are the same as in the row above are dim."""
    above: tuple[str, ...] = ()
    for row in matrix.variants:
        repeated = [row.values[: at + 1] == above[: at + 1] for at in range(len(row.values))]
        yield [styled(each, "dim" if same else "") for each, same in zip(row.values, repeated, strict=True)]
        above = row.values


def _cell(result: Result | None, phase: str, metric: str) -> Text:
    phase_result = result.find_phase(phase) if result else None
    text = metric_cell(phase_result.metrics, metric) if phase_result else ""
    return styled(text, "bold red" if text.startswith(("never", ">")) else "")


def _change(result: Result | None, phase: str, metric: str) -> Text:
    """The change of a metric; empty where it is 0 in both phases."""
    for each in result.comparisons if result else ():
        if (each.phase, each.metric) == (phase, metric) and (each.value or each.reference):
            return change_cells(each, "changes")[0]
    return Text()


def _curves(matrix: MatrixResult, phases: Sequence[str], metric: str) -> list[str]:
    """A curve of each phase's latencies over the variants, when these are on one numeric axis."""
    is_numeric = len(matrix.axes) == 1 and all(row.values[0][:1].isdigit() for row in matrix.variants)
    if not metric.startswith("ttft") or not is_numeric or len(matrix.results) < _MIN_POINTS:
        return []
    points = {phase: [_latency(row.result, phase, metric) for row in matrix.variants] for phase in phases}
    ends = sparkline.scale_of(each for latencies in points.values() for each in latencies)
    return ["".join(sparkline.level(each, ends) for each in points[phase]) for phase in phases] if ends else []


def _latency(result: Result | None, phase: str, metric: str) -> float | None:
    phase_result = result.find_phase(phase) if result else None
    matrix: float | None = (
        getattr(phase_result.metrics.ttft, f"{metric.removeprefix('ttft_')}_ms") if phase_result else None
    )
    return matrix


def _queues(matrix: MatrixResult, fits: Fits) -> RenderableType:
    """A row for each variant, model and phase, as far as there are several, and what the gauges say of them all.

    Where that is too wide, each variant has a table.
    """
    found = [
        (axes, row, queue.host, phase)
        for row, axes in zip(matrix.variants, _axes(matrix), strict=True)
        for queue in (row.result.models if row.result else ())
        for phase in queue.phases
    ]
    are_told = [len({host for _, _, host, _ in found}) > 1, len({phase.name for *_, phase in found}) > 1]
    labels = [label for label, is_told in zip(("model", "phase"), are_told, strict=True) if is_told]
    rows = [
        (axes, row, (list(compress((styled(host), styled(phase.name)), are_told)), phase))
        for axes, row, host, phase in found
    ]
    words = [
        (f"with {_named(matrix, row)}" + (f" during {phase.name}" if are_told[1] else ""), phase)
        for _, row, host, phase in found
        if host == found[0][2]
    ]
    parts: list[RenderableType] = [
        queue_table([*matrix.axes, *labels], [([*axes, *first], phase) for axes, _, (first, phase) in rows])
    ]
    if not fits(parts[0]):
        parts.clear()
        for name, those in groupby(rows, key=lambda each: _named(matrix, each[1])):
            parts.append(Padding(styled(name), (0, 0, 0, 2)))
            parts.append(Padding(queue_table(labels, [row for *_, row in those]), (0, 0, 0, 2)))
    return Group(*parts, Padding(styled(compare_gauges(words)), (0, 0, 0, 2)))


def _named(matrix: MatrixResult, row: VariantResult) -> str:
    return " and ".join(f"{axis} {value}" for axis, value in zip(matrix.axes, row.values, strict=True))


def _notes(matrix: MatrixResult) -> Iterator[RenderableType]:
    is_small = any("p95" in phase.metrics.ttft.reported_as_max for result in matrix.results for phase in result.phases)
    compared = [each for result in matrix.results for each in result.comparisons if each.metric in HEADLINES]
    references = " or ".join(dict.fromkeys(safe(result.reference) for result in matrix.results))
    thresholds = dict.fromkeys(format_value(result.stall_threshold_ms, "ms") for result in matrix.results)
    phases = tuple(dict.fromkeys(phase.name for result in matrix.results for phase in result.phases))
    has_curves = len(phases) > 1 and any(_curves(matrix, phases, metric) for metric in HEADLINES)
    notes = [
        *([f"stalls: gaps > {' or '.join(thresholds)}"] if thresholds else []),
        *([f"change: against {references} of the same variant"] if compared else []),
        *(["curve: a phase over the variants, higher is slower, ! never"] if has_curves else []),
        *(["* the maximum: too few values for this percentile"] if is_small else []),
        *([could_be_chance(matrix.results[0].level)] if any(map(is_inconclusive, compared)) else []),
    ]
    if notes:
        yield Text("\n".join(notes), style="dim")


def _verdicts(matrix: MatrixResult) -> RenderableType:
    counted = {(_verdict(row).plain, _reason(row)) for row in matrix.variants}
    if len(counted) == 1:
        return Text("Verdicts", "bold").append(f"  {': '.join(filter(None, counted.pop()))}, everywhere", "not bold")
    table = _with_axes(matrix)
    table.add_column("verdict", no_wrap=True, header_style="dim")
    table.add_column("", overflow="fold")
    above = ""
    for row, axes in zip(matrix.variants, _axes(matrix), strict=True):
        reason = _reason(row)
        is_repeated = reason == above and len(reason) > _LONG_REASON
        table.add_row(*axes, _verdict(row), styled("as above", "dim") if is_repeated else styled(reason))
        above = reason
    return section("Verdicts", _indented(table))


def _verdict(row: VariantResult) -> Text:
    if row.result is not None:
        return run_headline(row.result.outcome)
    return Text(variant_word(row), style="bold magenta")


def _reason(row: VariantResult) -> str:
    return safe(reason(row.result) if row.result else row.error)


def _word(matrix: MatrixResult) -> Text:
    word = matrix_word(matrix)
    return Text(word, style=_STYLES.get(word, "bold magenta"))


def _indented(table: Table) -> RenderableType:
    return Padding(table, (0, 0, 0, 2))
