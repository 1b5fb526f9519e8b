"""Writes a run as a trace for ui.perfetto.dev and chrome://tracing: every token, gzipped JSON.

A process of the trace is a group of tracks: the phases, the streams (a track each), the queues, the TCP of each host,
the hops of each host. A matrix has these for each variant, from the same zero on.

Rules, by the Trace Event Format and Perfetto's importer of it: `ts` and `dur` are microseconds, here with three digits
behind the point; slices of one track lie inside one another; a number names a process or a thread, never both; all text
is ASCII, and what a terminal would hide is escaped.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, BinaryIO

from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.analysis.tables.table import Table
from chaoskit.report.formats.source import Source
from chaoskit.terminal import printable

_LEVEL = 6  # of compression: twice as fast as 9, and as small within a tenth
_COUNTS = ("rtt_us", "cwnd", "unacked", "total_retrans")
_QUEUE = ("queued", "backlog_bytes", "drops")
_TCP_ARGS = ("rtt_us", "rto_us", "cwnd", "unacked", "lost", "total_retrans", "out_of_order", "bytes_received")
_PARTS = ("server", "network", "client", "between", "unknown")
_encode = json.JSONEncoder(separators=(",", ":")).encode


def write(source: Source, file: BinaryIO) -> None:
    """Write this run, or all variants of a matrix."""
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=_LEVEL, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="ascii") as text,
    ):
        about = {"experiment": printable(source.name), "command": source.command}
        text.write(f'{{"displayTimeUnit":"ms","otherData":{_encode(about)},"traceEvents":[\n')
        trace = _Trace()
        before = ""
        for run in source.runs:
            if run.result is not None:
                for line in trace.events(run.tables, f"{run.variant}: " if run.variant else ""):
                    text.write(before + line)
                    before = ",\n"
        text.write("\n]}\n")


_OF_STALL = (
    *("phase", "token", "cause", "confidence", "kind", "kind_confidence", "place", "sentence", "records"),
    "stalled_ns",
)


class _Trace:
    """Makes events; gives every process and track a number."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._shift = 0

    def events(self, tables: RunTables, prefix: str) -> Iterator[str]:
        """The events of one run, track by track."""
        self._shift = -min(_earliest(tables), 0)
        yield from self._phases(tables.phases, tables.end_ns, prefix)
        yield from self._streams(tables, prefix)
        for name, other in tables.workloads.items():
            yield from self._streams(other, f"{prefix}{name}: ")
        yield from self._queues(tables.queues, prefix)
        yield from self._tcp(tables.tcp, prefix)
        yield from self._hops(tables.hops, prefix)

    def _phases(self, phases: Table, end: int, prefix: str) -> Iterator[str]:
        """A track of the phases, and one of the faults while they are in force."""
        if not len(phases):
            return
        process, track, faults = next(self._numbers), next(self._numbers), next(self._numbers)
        yield _named("process_name", process, process, f"{prefix}phases")
        yield _named("thread_name", process, track, "phases")
        yield _named("thread_name", process, faults, "faults in force")
        for row in _rows(phases):
            args = {"round": row["round"], "faults": row["faults"], "settings": row["settings"]}
            yield self._slice(process, track, row["phase"], (row["begin_ns"], row["end_ns"]), args)
            if row["faults"]:
                until = max(end, row["end_ns"]) if row["cleared_ns"] is None else row["cleared_ns"]
                yield self._slice(process, faults, row["faults"], (row["ready_ns"], until), args)

    def _streams(self, tables: RunTables, prefix: str) -> Iterator[str]:
        """A track for each stream: itself, the wait for its first token, its stalls, its tokens, its samples of TCP."""
        if not len(tables.streams):
            return
        process = next(self._numbers)
        yield _named("process_name", process, process, f"{prefix}streams")
        stalls, samples = _by_stream(tables.stalls), _by_stream(tables.tcp)
        numbers, at = tables.tokens["stream"], tables.tokens["at_ns"]
        first, width = 0, len(str(tables.streams["stream"].max()))
        for row in _rows(tables.streams):
            track, number = next(self._numbers), row["stream"]
            after = int(numbers.searchsorted(number, side="right"))
            outcome = row["phase"], row["completion"]
            yield _named("thread_name", process, track, f"stream {number:0{width}d}: {', '.join(outcome)}")
            yield from self._stream(process, track, row, stalls.get(number, ()))
            yield from self._tokens(process, track, at[first:after].tolist())
            for sample in samples.get(number, ()):
                args = {name: sample[name] for name in _TCP_ARGS if sample[name] is not None}
                yield self._instant(process, track, f"TCP {sample['seen_by']} {sample['when']}", sample["at_ns"], args)
            first = after

    def _stream(
        self, process: int, track: int, row: Mapping[str, Any], stalls: Sequence[Mapping[str, Any]]
    ) -> Iterator[str]:
        begin, end, first = row["scheduled_ns"], row["end_ns"], row["first_token_ns"]
        end = max(begin, end)
        args = {name: value for name, value in row.items() if value not in (None, "")}
        yield self._slice(process, track, f"stream: {row['completion']}", (begin, end), args)
        until = end if first is None else min(max(first, begin), end)
        yield self._slice(process, track, "first token" if first is not None else "no token", (begin, until), {})
        for stall in stalls:
            parts = {name: round(stall[f"{name}_ns"]) for name in _PARTS if stall[f"{name}_ns"]}
            args = {name: stall[name] for name in _OF_STALL if stall[name] != ""} | {"parts_ns": parts}
            inside = min(max(stall["begin_ns"], until), end), min(stall["end_ns"], end)
            what = f"stall: {stall['cause']} {stall['kind']}".strip()
            yield self._slice(process, track, what, inside, args)

    def _tokens(self, process: int, track: int, stamps: Sequence[int]) -> Iterator[str]:
        """An instant for each: most of the trace, so that no dictionary is made for it."""
        head = f'{{"ph":"i","s":"t","pid":{process},"tid":{track},"ts":'
        shift = self._shift
        for number, stamp in enumerate(stamps, 1):
            whole, rest = divmod(stamp + shift, 1000)
            yield f'{head}{whole}.{rest:03d},"name":"token {number}"}}'

    def _queues(self, queues: Table, prefix: str) -> Iterator[str]:
        if not len(queues):
            return
        process = next(self._numbers)
        yield _named("process_name", process, process, f"{prefix}queues")
        for row in _rows(queues):
            where = " ".join(filter(None, (row["place"], row["name"], row["kind"])))
            yield from self._counters(process, where, row["at_ns"], {name: row[name] for name in _QUEUE})

    def _tcp(self, tcp: Table, prefix: str) -> Iterator[str]:
        """Counters of the sockets of a lab's hosts, which are sampled all the time."""
        processes: dict[str, int] = {}
        for row in _rows(tcp):
            if row["when"] != "sampled":
                continue
            host = row["seen_by"]
            if host not in processes:
                processes[host] = next(self._numbers)
                yield _named("process_name", processes[host], processes[host], f"{prefix}TCP of {host}")
            where = f":{row['port']} to {row['peer']}:{row['peer_port']}"
            known = {name: row[name] for name in _COUNTS if row[name] is not None}
            yield from self._counters(processes[host], where, row["at_ns"], known)

    def _hops(self, hops: Table, prefix: str) -> Iterator[str]:
        """Spans of one host overlap: each is a track of its own, which Perfetto draws in one group."""
        processes: dict[str, int] = {}
        for number, row in enumerate(_rows(hops)):
            host = row["host"]
            if host not in processes:
                processes[host] = next(self._numbers)
                yield _named("process_name", processes[host], processes[host], f"{prefix}hops of {host}")
            names = ("stream", "trace", "span", "parent", "error", "attributes")
            args = {name: row[name] for name in names if row[name] not in (None, "")}
            common = {
                "cat": row["operation"],
                "id": f"{prefix}{number}",
                "pid": processes[host],
                "tid": processes[host],
            }
            begin, end = row["begin_ns"], max(row["begin_ns"], row["end_ns"])
            name = printable(f"{row['operation']}: {row['name']}")
            yield self._event({"ph": "b", "name": name, **common, "args": _escaped(args)}, begin)
            yield self._event({"ph": "e", "name": name, **common}, end)

    def _counters(self, process: int, where: str, at: int, values: Mapping[str, int]) -> Iterator[str]:
        for name, value in values.items():
            event = {"ph": "C", "pid": process, "tid": process, "name": printable(where), "args": {name: value}}
            yield self._event(event, at)

    def _slice(self, process: int, track: int, name: str, when: tuple[int, int], args: Mapping[str, Any]) -> str:
        begin, end = when
        event = {"ph": "X", "pid": process, "tid": track, "name": printable(name), "args": _escaped(args)}
        return self._event(event, begin, max(0, end - begin))

    def _instant(self, process: int, track: int, name: str, at: int, args: Mapping[str, Any]) -> str:
        return self._event(
            {"ph": "i", "s": "t", "pid": process, "tid": track, "name": printable(name), "args": args}, at
        )

    def _event(self, event: Mapping[str, Any], at: int, duration: int | None = None) -> str:
        took = "" if duration is None else f',"dur":{_microseconds(duration)}'
        return f'{_encode(event)[:-1]},"ts":{_microseconds(at + self._shift)}{took}}}'


def _microseconds(time: int) -> str:
    return f"{time // 1000}.{time % 1000:03d}"


def _named(what: str, process: int, track: int, name: str) -> str:
    return _encode({"ph": "M", "pid": process, "tid": track, "name": what, "args": {"name": printable(name)}})


def _escaped(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: printable(value) if isinstance(value, str) else value for name, value in args.items()}


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    return (dict(zip(table.names, row, strict=True)) for row in table.rows())


def _by_stream(table: Table) -> Mapping[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(table):
        found[row["stream"]].append(row)
    return found


def _earliest(tables: RunTables) -> int:
    """The first stamp of all: a request may have been scheduled, a span begun, before the first phase."""
    stamps = (tables.streams["scheduled_ns"], tables.hops["begin_ns"], tables.tcp["at_ns"], tables.queues["at_ns"])
    return min((int(column.min()) for column in stamps if len(column)), default=0)
