"""Shows what the hops of requests did, by class and workflow, and what slow chains waited for.

A column is shown where some row has something to tell in it, and a section where some phase has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.chains.chain_results import HopResult, LateFirstTokens, PathShare, PhaseTiers, Requests
from chaoskit.analysis.formatting import NO_VALUE, format_change, format_value
from chaoskit.analysis.result import PhaseResult, Result
from chaoskit.analysis.statistics.quantiles import is_too_few
from chaoskit.analysis.summaries import IntervalEstimate, LatencySummary
from chaoskit.report.styles import styled
from chaoskit.report.table import plain_table
from chaoskit.units import counted

_MOST_PLACES, _LEAST_SHARE = 3, 0.05  # of a path that are named
_LEAST_ADDED = 1.0  # ms beyond the usual time that are told
_MOST_CAUSES = 3
_MOST_ROWS = 16  # classes and workflows that are shown; all are in the result
_SHARES = {
    "fallback": "retrieval_fallback_ratio",
    "degraded": "degraded_ratio",
    "queued": "queued_rate",
    "shed": "shed_rate",
    "downgraded": "downgrade_rate",
}
Row = tuple[RenderableType, RenderableType]
Phases = Sequence[tuple[PhaseResult, PhaseTiers]]


def chain_sections(
    result: Result, two_columns: Callable[[Iterable[Row]], RenderableType], fits: Callable[[Table], bool]
) -> Iterator[tuple[str, RenderableType]]:
    """A title and a body for each section that has something to tell. `fits`: whether a table does, indented."""
    phases = [(phase, phase.tiers) for phase in result.phases if phase.tiers is not None]
    if not phases:
        return
    yield "Requests by workflow and class", _requests(phases, fits)
    if any(tiers.hops for _, tiers in phases):
        yield "Hops, p95 with all attempts", _hops(phases, fits)
    for title, lines in (
        ("Attempts and errors", _attempts),
        ("Retrieval", _retrievals),
        ("Slow chains waited for", _paths),
        ("Failover", _failover),
        ("Went before somebody more important", _inversions),
        ("Degraded and downgraded", _degraded),
    ):
        yield from _section(title, phases, lines, two_columns)
    for ladder in result.ladders:
        rows = [(styled(step.step), styled(step.sentence.removeprefix(f"{step.step} "))) for step in ladder.steps]
        yield f"Ladder of {ladder.host}, {counted(ladder.switches, 'change')}", two_columns(rows)
    later = [each for each in phases if each[0].name != result.reference]
    yield from _section("Late first tokens", later or phases, _late, two_columns)
    if told := _spans(result):
        yield "Spans", styled(told, "dim")


def _section(
    title: str,
    phases: Phases,
    lines: Callable[[PhaseTiers], str],
    two_columns: Callable[[Iterable[Row]], RenderableType],
) -> Iterator[tuple[str, RenderableType]]:
    rows = [(styled(phase.name), styled(text)) for phase, tiers in phases if (text := lines(tiers))]
    if rows:
        yield title, two_columns(rows)


def _indented(table: Table) -> RenderableType:
    return Padding(table, (0, 0, 0, 2))


def _requests(phases: Phases, fits: Callable[[Table], bool]) -> RenderableType:
    """One table, or where that is too wide the latencies and the shares below each other."""
    every = [row for _, tiers in phases for row in tiers.rows]
    times = ["requests", "TTFT p95", *(["chain p50", "p95"] if any(row.toolchain.count for row in every) else [])]
    shares = [label for label, name in _SHARES.items() if any(_estimate(row, name).value for row in every)]
    whole = _table(phases, [*times, *shares])
    if fits(whole) or not shares:
        return _indented(whole)
    return Group(_indented(_table(phases, times)), _indented(_table(phases, shares)))


def _table(phases: Phases, columns: Sequence[str]) -> Table:
    table = plain_table()
    table.add_column("", style="bold", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", header_style="bold", no_wrap=True)
    for phase, tiers in phases:
        for row in _told_apart(tiers.rows)[:_MOST_ROWS]:
            table.add_row(_name(phase, row), *(styled(_cell(row, name)) for name in columns))
    return table


def _cell(row: Requests, column: str) -> str:
    match column:
        case "requests":
            return str(row.started)
        case "TTFT p95":
            return _time(row.ttft, 95)
        case "chain p50":
            return _time(row.toolchain, 50)
        case "p95":
            return _time(row.toolchain, 95)
    return format_value(_estimate(row, _SHARES[column]).value, "share")


def _told_apart(rows: Sequence[Requests]) -> Sequence[Requests]:
    """Without the one workflow, or the one class, that all requests have."""
    workflows = [row for row in rows if row.workflow is not None]
    classes = [row for row in rows if row.traffic_class is not None]
    shown = [
        each
        for group in (workflows, classes)
        if len(group) > 1 or [row.started for row in group] != [rows[0].started]
        for each in group
    ]
    return [rows[0], *shown]


def _name(phase: PhaseResult, row: Requests) -> Text:
    if row.traffic_class is not None:
        return styled(f"  for {row.traffic_class}", "not bold")
    return styled(f"  of {row.workflow}", "not bold") if row.workflow is not None else styled(phase.name)


def _estimate(row: Requests, name: str) -> IntervalEstimate:
    found: IntervalEstimate = getattr(row, name)
    return found


def _time(times: LatencySummary, percent: int) -> str:
    value = times.p50_ms if percent == 50 else times.p95_ms
    if (at_least := times.at_least.get(f"p{percent}_ms")) is not None:
        return f"> {format_value(at_least, 'ms')}"
    mark = "*" if times.count and is_too_few(percent, times.count) else ""
    return format_value(value, "ms") + mark


def _hops(phases: Phases, fits: Callable[[Table], bool]) -> RenderableType:
    """A row for each phase; a column for each hop, by its host alone where that is too wide."""
    names = dict.fromkeys((hop.operation, hop.host) for _, tiers in phases for hop in tiers.hops)
    for label in (_hop_name, lambda _, host: host):
        table = plain_table()
        table.add_column("", style="bold", no_wrap=True)
        for operation, host in names:
            table.add_column(styled(label(operation, host)), justify="right", header_style="bold", overflow="fold")
        for phase, tiers in phases:
            found = [_hop(tiers, *name) for name in names]
            table.add_row(styled(phase.name), *(_time(hop.duration, 95) if hop else NO_VALUE for hop in found))
        if fits(table):
            break
    return _indented(table)


def _hop(tiers: PhaseTiers, operation: str, host: str) -> HopResult | None:
    return next((hop for hop in tiers.hops if (hop.operation, hop.host) == (operation, host)), None)


def _hop_name(operation: str, host: str) -> str:
    return host if operation in host else f"{operation} {host}"


def _attempts(tiers: PhaseTiers) -> str:
    """Of hops that were tried again, or failed."""
    told = []
    for hop in tiers.hops:
        more = [f"{counted(hop.attempts, 'attempt')}"] if hop.attempts != hop.calls else []
        more += [f"{hop.hedges} of them hedges"] if hop.hedges else []
        more += [f"{each.count} {each.name}" for each in hop.errors]
        if more:
            calls = [counted(hop.calls, "call")] if hop.calls else []
            told.append(f"{_hop_name(hop.operation, hop.host)}: {', '.join([*calls, *more])}")
    return "; ".join(told)


def _retrievals(tiers: PhaseTiers) -> str:
    found = tiers.rows[0].retrievals
    if not found.total:
        return ""
    words = ("hit", "miss", "timeout", "error", "degraded", "untold")
    told = ", ".join(f"{count} {word}" for word in words if (count := getattr(found, word)))
    stood_in = ", ".join(f"{each.count} by {each.name}" for each in found.fallbacks)
    return f"{told}; answered instead: {stood_in}" if stood_in else told


def _paths(tiers: PhaseTiers) -> str:
    shown = [each for each in tiers.path if each.share >= _LEAST_SHARE][:_MOST_PLACES]
    if not shown:
        return ""
    return f"{', '.join(map(_place, shown))} ({counted(tiers.slow, 'chain')})"


def _place(each: PathShare) -> str:
    is_longer = each.added_ms is not None and each.added_ms >= _LEAST_ADDED
    added = f" ({format_change(each.added_ms or 0, 'ms')})" if is_longer else ""
    return f"{each.place} {format_value(each.share, 'share')}{added}"


def _late(tiers: PhaseTiers) -> str:
    found: LateFirstTokens | None = tiers.late_first_tokens
    if found is None or not found.late:
        return ""
    causes = [
        f"{each.requests} {each.place}" + (f" ({format_change(each.mean_ms, 'ms')})" if each.mean_ms else "")
        for each in found.causes[:_MOST_CAUSES]
    ]
    rest = sum(each.requests for each in found.causes[_MOST_CAUSES:]) + found.unknown
    causes += [f"{rest} other or unknown"] if rest else []
    return f"{found.late} later than {format_value(found.beyond_ms, 'ms')}: {', '.join(causes)}"


def _failover(tiers: PhaseTiers) -> str:
    """What users saw, and when calls moved to another host and back."""
    told = [f"{each.count} {each.name}" for each in tiers.failover]
    moved = []
    for each in tiers.failover_times:
        back = "not back" if each.back_ms is None else f"back {format_value(each.back_ms, 'ms')} after it"
        over = format_value(each.over_ms, "ms")
        moved.append(f"{each.operation} from {each.usual} to {each.instead} after {over}, {back}")
    return "; ".join(filter(None, (", ".join(told), *moved)))


def _inversions(tiers: PhaseTiers) -> str:
    """Priority inversions by class."""
    return ", ".join(
        f"{row.inversions} of {row.traffic_class}" for row in tiers.rows if row.traffic_class and row.inversions
    )


def _degraded(tiers: PhaseTiers) -> str:
    every = tiers.rows[0]
    told = [f"{each.name}: {counted(each.count, 'request')}" for each in every.degraded]
    return ", ".join([*told, *(f"tier {each.name}: {each.count}" for each in every.downgraded)])


def _spans(result: Result) -> str:
    """What is odd about the spans."""
    found = result.spans
    if found is None:
        return ""
    odd = {
        "repeated": found.duplicates,
        "with a parent that nobody recorded": found.without_parent,
        "whose parents form a circle": found.in_circles,
        "that end before they begin": found.negative,
        "of other requests": found.of_no_request,
    }
    told = [f"{count} {words}" for words, count in odd.items() if count]
    if found.spans and found.without_span:
        told.append(f"{found.without_span} of {counted(found.requests, 'request')} without any")
    return f"of {counted(found.spans, 'span')}: {', '.join(told)}" if told else ""
