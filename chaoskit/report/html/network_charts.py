"""Draws what the kernel told over time: round trips, windows, segments sent again, queues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.formatting import NO_VALUE, format_value
from chaoskit.analysis.result import Unit
from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.analysis.tables.table import Table
from chaoskit.report.html.blocks import Cell, Grid
from chaoskit.report.html.charts import Chart, Line, spec
from chaoskit.report.html.distributions import color_of

_SECOND = 1e9
_BUCKETS, _SHORTEST = 120, 0.25  # of a run; s
_MOST_POINTS = 6000  # of a chart
_MOST_LINES = 6

Samples = tuple[NDArray[Any], NDArray[Any]]
"""When they were taken, in seconds, in order; and their values."""


@dataclass(frozen=True)
class Phase:
    """A span of the timeline, in seconds."""

    name: str
    begin: float
    end: float
    faults: str


def phases_of(tables: RunTables) -> tuple[Phase, ...]:
    """Its phases in order; the last one has what comes after it."""
    table, end = tables.phases, tables.end_ns / _SECOND
    rows = zip(table["phase"], table["begin_ns"] / _SECOND, table["end_ns"] / _SECOND, table["faults"], strict=True)
    found = [Phase(str(name), float(begin), float(until), str(faults)) for name, begin, until, faults in rows]
    if found:
        last = found[-1]
        found[-1] = Phase(last.name, last.begin, max(last.end, end), last.faults)
    return tuple(found)


def network_charts(tables: RunTables) -> Iterator[Chart]:
    """Those for which there are samples."""
    phases, end = phases_of(tables), max(tables.end_ns / _SECOND, _SHORTEST)
    trips = _by(tables.tcp, "rtt_us", _sender_or_handshake, 1 / 1000)
    yield from _points("rtt", "Round-trip time", "ms", trips, phases, (
        "Each point is a sample: a sender's smoothed round trip, or of a client that of a new connection."
    ))  # fmt: skip
    windows = _by(tables.tcp, "cwnd", lambda row: None if row["seen_by"] == "client" else row["seen_by"])
    yield from _points("cwnd", "Congestion window", "count", windows, phases, (
        "Segments that a sender may have on the way. It shrinks when segments are lost."
    ))  # fmt: skip
    again = _growth(tables.tcp, "total_retrans", _connection)
    yield from _bars("again", "Segments sent again", again, phases, end, (
        "By TCP, summed over the connections that were sampled; those that closed between two samples lack some."
    ))  # fmt: skip
    queues = _queues(tables.queues)
    backlog = _by(queues, "backlog_bytes", _queue_name)
    yield from _points("backlog", "Queue backlog", "bytes", backlog, phases, (
        "Bytes that waited in each queueing discipline when it was looked at."
    ), is_line=True)  # fmt: skip
    drops = _growth(queues, "drops", lambda row: (_queue_name(row), ""))
    yield from _bars("drops", "Packets dropped", drops, phases, end, "By each queueing discipline, faults included.")


def _sender_or_handshake(row: dict[str, Any]) -> str | None:
    if row["seen_by"] != "client":
        return str(row["seen_by"])
    return "client, handshake" if row["when"] == "connected" else None


def _connection(row: dict[str, Any]) -> tuple[str, str]:
    """Whose socket it is, and which connection's: by the port of the one that asked."""
    whose = str(row["seen_by"])
    port = row["port"] if whose == "client" else row["peer_port"]
    return whose, str(row["stream"] if port is None else port)


def _queues(table: Table) -> Table:
    """The rows of queueing disciplines alone."""
    here = table["kind"] == "qdisc"
    return Table(table.schema, {name: column[here] for name, column in table.columns.items()})


def _queue_name(row: dict[str, Any]) -> str:
    return f"{row['place']} {row['name']}".strip()


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    return (dict(zip(table.names, row, strict=True)) for row in table.rows())


def _by(
    table: Table, column: str, name_of: Callable[[dict[str, Any]], str | None], factor: float = 1
) -> dict[str, Samples]:
    """The samples of a column by the name that a row has; those of a row without a name are left out."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in _rows(table):
        name = name_of(row)
        if name is not None and row[column] is not None:
            found[name].append((row["at_ns"] / _SECOND, row[column] * factor))
    return {name: _samples(pairs) for name, pairs in found.items() if any(value for _, value in pairs)}


def _growth(table: Table, column: str, key_of: Callable[[dict[str, Any]], tuple[str, str]]) -> dict[str, Samples]:
    """How much a counter grew, by whose it is; one that fell began anew."""
    last: dict[tuple[str, str], int] = {}
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in _rows(table):
        if row[column] is None:
            continue
        key = key_of(row)
        before = last.get(key, 0)
        grown = row[column] - before if row[column] >= before else row[column]
        last[key] = row[column]
        if grown:
            found[key[0]].append((row["at_ns"] / _SECOND, grown))
    return {name: _samples(pairs) for name, pairs in found.items()}


def _samples(pairs: Sequence[tuple[float, float]]) -> Samples:
    at, values = np.array(sorted(pairs)).T
    return at, values


def _points(
    key: str,
    title: str,
    unit: Unit,
    found: dict[str, Samples],
    phases: Sequence[Phase],
    caption: str,
    is_line: bool = False,
) -> Iterator[Chart]:
    if not found:
        return
    shown = dict(sorted(found.items(), key=lambda each: -len(each[1][0]))[:_MOST_LINES])
    thinned = {name: _thinned(samples, _MOST_POINTS // len(shown)) for name, samples in shown.items()}
    x = np.unique(np.concatenate([at for at, _ in thinned.values()]))
    lines = []
    for place, (name, (at, values)) in enumerate(thinned.items()):
        y = np.full(len(x), np.nan)
        y[np.searchsorted(x, at)] = values
        lines.append(Line(name, color_of(place), y, "line" if is_line else "points", dash=place if is_line else 0))
    least = {"ms": 1.0, "count": 1.0}.get(unit, 1000.0)
    table = _table(shown, phases, ("median", "largest"), unit, lambda values: (np.median(values), values.max()))
    yield Chart(key, title, caption + _left_out(found, shown), spec(x, lines, unit, True, least=least), table)


def _bars(
    key: str, title: str, found: dict[str, Samples], phases: Sequence[Phase], end: float, caption: str
) -> Iterator[Chart]:
    if not found:
        return
    shown = dict(sorted(found.items(), key=lambda each: -each[1][1].sum())[:_MOST_LINES])
    width = max(_SHORTEST, end / _BUCKETS)
    edges = np.arange(0, end + width, width)
    lines = [
        Line(name, color_of(place), np.histogram(at, [*edges, edges[-1] + width], weights=values)[0], "bars")
        for place, (name, (at, values)) in enumerate(shown.items())
    ]
    told = f" Each bar is {format_value(width * 1000, 'ms')}."
    table = _table(shown, phases, ("sum",), "count", lambda values: (values.sum(),))
    yield Chart(key, title, caption + told + _left_out(found, shown), spec(edges, lines, "count", True), table)


def _left_out(found: dict[str, Samples], shown: dict[str, Samples]) -> str:
    names = [name for name in found if name not in shown]
    return f" Not shown: {', '.join(names)}." if names else ""


def _thinned(samples: Samples, most: int) -> Samples:
    """At most so many: the largest of as many as stand together."""
    at, values = samples
    step = -(-len(at) // max(1, most))
    if step <= 1:
        return samples
    chosen = [begin + int(values[begin : begin + step].argmax()) for begin in range(0, len(at), step)]
    return at[chosen], values[chosen]


def _table(
    found: dict[str, Samples],
    phases: Sequence[Phase],
    heads: Sequence[str],
    unit: Unit,
    numbers: Callable[[NDArray[Any]], Sequence[float]],
) -> Grid:
    """A row for each phase, and columns for each name."""
    titles = ["", *(f"{name}: {head}" for name in found for head in heads)]
    rows = []
    for phase in {phase.name: phase for phase in phases}:
        cells = [Cell((((phase, ""),),), is_head=True)]
        spans = [each for each in phases if each.name == phase]
        for at, values in found.values():
            here = np.logical_or.reduce([(at >= span.begin) & (at <= span.end) for span in spans])
            told = numbers(values[here]) if here.any() else [None] * len(heads)
            cells += [Cell((((_value(each, unit), ""),),), titles[len(cells)], True) for each in told]
        rows.append(tuple(cells))
    return Grid(tuple(titles), (False, *[True] * (len(titles) - 1)), tuple(rows))


def _value(value: float | None, unit: Unit) -> str:
    return NO_VALUE if value is None else format_value(float(value), unit)
