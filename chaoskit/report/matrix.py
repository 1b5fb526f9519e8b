"""The variants of a matrix on a screen: a table for each of the headline numbers, a row for each variant.

Beside each phase stands its change against the same variant's reference phase, as long as the screen is wide enough;
phases that do not fit then go into a table of their own below. With one phase the numbers themselves are the columns
of one table. A number that is the same everywhere is a line. The last line is the verdict of them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.matrix import MatrixResult, Row
from chaoskit.analysis.result import Result
from chaoskit.errors import EXIT_SOFTWARE
from chaoskit.report import sparkline
from chaoskit.report.console import UNBOUNDED, headline, pairs, section, sentence, show
from chaoskit.report.styles import JUDGED, safe, styled
from chaoskit.report.table import changes, empty, is_chance, value

HEADLINES = {
    "ttft_p50": "TTFT p50",
    "ttft_p95": "TTFT p95",
    "interruption_rate": "Interrupted streams",
    "stalls_per_minute": "Stalls",
}
_CURVE = 3  # points that make one
_WORDS = {
    4: "DIRTY",
    EXIT_SOFTWARE: "CRASHED",
    143: "INTERRUPTED",
    130: "INTERRUPTED",
    3: "REFUSED",
    1: "BROKEN",
    5: "UNDECIDED",
}
_STYLES = {4: "bold red", EXIT_SOFTWARE: "bold red", 1: JUDGED["broken"]}
_WORST_FIRST = (
    "dirty",
    "crashed",
    "interrupted",
    "refused",
    "broken",
    "undecided",
    "unreadable",
    "not run",
    "met",
    "measured",
)
Fits = Callable[[RenderableType], bool]


def render(found: MatrixResult, console: Console) -> None:
    """Print them all."""
    show([*_parts(found, console)], console)


def one_line(row: Row, number: int, of: int) -> Text:
    """A variant that has just ended: which, its verdict, and the first reason for it."""
    line = Text().append(f"{number:>{len(str(of))}}/{of}  ", "dim").append(f"{safe(row.name)}  ")
    return line.append_text(_verdict(row)).append(f"  {safe(_reason(row))}")


def _parts(found: MatrixResult, console: Console) -> Iterator[RenderableType]:
    wide = console.options.update(width=UNBOUNDED)

    def fits(table: RenderableType) -> bool:
        return console.measure(table, options=wide).maximum <= console.width

    yield _title(found)
    phases = list(dict.fromkeys(phase.name for result in found.results for phase in result.phases))
    if len(phases) == 1:
        yield section(phases[0], _of_one_phase(found, phases[0]))
    elif phases:
        for metric in HEADLINES:
            yield from _of_one_metric(found, phases, metric, fits)
    yield from _notes(found)
    yield _verdicts(found)
    yield pairs([(Text("records", style="dim"), styled(found.run)), (_word(found), _summary(found))], indent=0)


def _title(found: MatrixResult) -> Text:
    title = styled(found.name, "bold").append(f"  {len(found.variants)} variants", style="not bold dim")
    where = {f", {safe(result.clock)} time, kernel {safe(result.kernel)}" for result in found.results if result.clock}
    if len(where) == 1:
        title.append(where.pop(), style="not bold dim")
    return title.append("\n" + safe(found.question), style="not bold")


def _of_one_phase(found: MatrixResult, phase: str) -> RenderableType:
    table = _with_axes(found)
    for label in HEADLINES.values():
        table.add_column(label, justify="right", no_wrap=True, header_style="bold")
    for row, axes in zip(found.variants, _axes(found), strict=True):
        table.add_row(*axes, *(_cell(row.result, phase, metric) for metric in HEADLINES))
    return _indented(table)


def _of_one_metric(found: MatrixResult, phases: Sequence[str], metric: str, fits: Fits) -> Iterator[RenderableType]:
    """As few tables as the screen is wide enough for; or a line, when there is nothing to compare."""
    cells = {value(phase.metrics, metric) for result in found.results for phase in result.phases}
    if len(cells) == 1:
        yield Text().append(HEADLINES[metric], "bold").append(f"  {cells.pop()} everywhere")
        return
    while phases:
        tables = [(count, _beside(found, phases[:count], metric)) for count in range(len(phases), 0, -1)]
        tables.insert(1, (len(phases), _beside(found, phases, metric, with_changes=False)))
        count, table = next(filter(lambda each: fits(each[1]), tables), tables[-1])
        yield section(HEADLINES[metric], table)
        phases = phases[count:]


def _beside(found: MatrixResult, phases: Sequence[str], metric: str, with_changes: bool = True) -> RenderableType:
    """A column for each phase, and one for its change where there is any."""
    table = _with_axes(found)
    rows = [[*axes] for axes in _axes(found)]
    curves = _curves(found, phases, metric)
    last = [Text("curve", "dim")]
    for at, phase in enumerate(phases):
        columns = [[_cell(row.result, phase, metric) for row in found.variants]]
        table.add_column(styled(phase), justify="right", no_wrap=True, header_style="bold")
        last.append(Text(curves[at] if curves else "", "dim"))
        changed = [_change(row.result, phase, metric) for row in found.variants]
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


def _with_axes(found: MatrixResult) -> Table:
    table = empty()
    for axis in found.axes:
        table.add_column(styled(axis), no_wrap=True, header_style="dim")
    return table


def _axes(found: MatrixResult) -> Iterator[list[Text]]:
    """Each row's own values; those that are the same as in the row above are dim."""
    above: tuple[str, ...] = ()
    for row in found.variants:
        repeated = [row.values[: at + 1] == above[: at + 1] for at in range(len(row.values))]
        yield [styled(each, "dim" if same else "") for each, same in zip(row.values, repeated, strict=True)]
        above = row.values


def _cell(result: Result | None, phase: str, metric: str) -> Text:
    there = result.phase(phase) if result else None
    text = value(there.metrics, metric) if there else ""
    return styled(text, "bold red" if text == "never" else "")


def _change(result: Result | None, phase: str, metric: str) -> Text:
    """Nothing where nothing was and nothing is: a table of zeros has no news."""
    for each in result.comparisons if result else ():
        if (each.phase, each.metric) == (phase, metric) and (each.value or each.reference):
            return changes(each, "changes")[0]
    return Text()


def _curves(found: MatrixResult, phases: Sequence[str], metric: str) -> list[str]:
    """The latencies of each phase from the first variant to the last, when these are along one axis of numbers."""
    is_along = len(found.axes) == 1 and all(row.values[0][:1].isdigit() for row in found.variants)
    if not metric.startswith("ttft") or not is_along or len(found.results) < _CURVE:
        return []
    points = {phase: [_latency(row.result, phase, metric) for row in found.variants] for phase in phases}
    ends = sparkline.bounds(each for latencies in points.values() for each in latencies)
    return ["".join(sparkline.sign(each, ends) for each in points[phase]) for phase in phases] if ends else []


def _latency(result: Result | None, phase: str, metric: str) -> float | None:
    there = result.phase(phase) if result else None
    found: float | None = getattr(there.metrics.ttft, f"{metric.removeprefix('ttft_')}_ms") if there else None
    return found


def _notes(found: MatrixResult) -> Iterator[RenderableType]:
    is_small = any("p95" in phase.metrics.ttft.small for result in found.results for phase in result.phases)
    compared = [each for result in found.results for each in result.comparisons if each.metric in HEADLINES]
    references = " or ".join(dict.fromkeys(safe(result.reference) for result in found.results))
    notes = [
        *([f"change: against {references} of the same variant"] if compared else []),
        *(["* the maximum: too few values for this percentile"] if is_small else []),
        *(["≈ could be chance: the 95 % interval includes no change"] if any(map(is_chance, compared)) else []),
    ]
    if notes:
        yield Text("\n".join(notes), style="dim")


def _verdicts(found: MatrixResult) -> RenderableType:
    told = {(_verdict(row).plain, _reason(row)) for row in found.variants}
    if len(told) == 1:
        return Text("Verdicts", "bold").append(f"  {': '.join(filter(None, told.pop()))}, everywhere", "not bold")
    table = _with_axes(found)
    table.add_column("verdict", no_wrap=True, header_style="dim")
    table.add_column("", overflow="fold")
    for row, axes in zip(found.variants, _axes(found), strict=True):
        table.add_row(*axes, _verdict(row), styled(_reason(row)))
    return section("Verdicts", _indented(table))


def _verdict(row: Row) -> Text:
    if row.result is not None:
        return headline(row.result.outcome)
    return Text("NOT RUN" if row.is_new else "UNREADABLE", style="bold magenta")


def _reason(row: Row) -> str:
    return sentence(row.result).plain if row.result else safe(row.missing)


def _word(found: MatrixResult) -> Text:
    word = _WORDS.get(found.exit_code)
    if word is not None:
        return Text(word, style=_STYLES.get(found.exit_code, "bold magenta"))
    is_judged = any(result.objectives for result in found.results)
    return Text("MET" if is_judged else "MEASURED", style=JUDGED["met" if is_judged else "none"])


def _summary(found: MatrixResult) -> Text:
    """How many variants came to which verdict, the worst first."""
    words = [_verdict(row).plain.lower() for row in found.variants]
    counts = {word: words.count(word) for word in _WORST_FIRST if word in words}
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    total = f"all {len(words)} variants {words[0]}" if len(counts) == 1 else f"of {len(words)} variants {told}"
    return styled(total + (f" ({found.detail})" if found.detail else ""))


def _indented(table: Table) -> RenderableType:
    return Padding(table, (0, 0, 0, 2))
