"""Makes the tables of a run from its records, by the same functions as its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from os.path import lexists
from pathlib import Path

import numpy as np

from chaoskit.analysis.attribution.run_evidence import run_evidence, timeline_of
from chaoskit.analysis.attribution.stalls import verdicts
from chaoskit.analysis.attribution.verdict import Verdict
from chaoskit.analysis.load import RawRecords, load_records, load_workload
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.run_spec import spec_of
from chaoskit.analysis.streams.connection_groups import Groups, groups
from chaoskit.analysis.streams.timeline import FOREVER, Timeline
from chaoskit.analysis.tables import table_columns as schemas
from chaoskit.analysis.tables.network_rows import hop_rows, queue_rows, tcp_rows
from chaoskit.analysis.tables.stream_rows import StreamContext, stream_rows
from chaoskit.analysis.tables.table import Table
from chaoskit.errors import unknown_name
from chaoskit.planning.model import Plan
from chaoskit.planning.phase_settings import phase_settings
from chaoskit.records.directory import WORKLOADS

_BATCH = 1_000_000  # tokens that are processed at a time


@dataclass(frozen=True, eq=False, repr=False)
class RunTables:
    """The tables of a run. What the run lacks is an empty table.

    `origin_ns` is the clock's stamp at which the run began, from which all stamps count; `end_ns` when it ended;
    `stall_threshold_ns`: a longer gap is a stall. `workloads` has those of other clients of a lab by name: streams,
    tokens and stalls of their own, and the tables of the run. `groups`: which streams shared a connection.
    """

    origin_ns: int
    end_ns: int
    stall_threshold_ns: int
    streams: Table
    tokens: Table
    stalls: Table
    phases: Table
    tcp: Table
    queues: Table
    hops: Table
    workloads: Mapping[str, RunTables] = field(default_factory=dict)
    groups: Groups = Groups()  # noqa: RUF009  frozen

    def __iter__(self) -> Iterator[Table]:
        """All of them, in the order of the documentation."""
        yield from (self.streams, self.tokens, self.stalls, self.phases, self.tcp, self.queues, self.hops)

    def __getitem__(self, name: str) -> Table:
        found = {table.name: table for table in self}
        if name not in found:
            raise unknown_name("table", name, found)
        return found[name]

    def __repr__(self) -> str:
        shapes = [f"{table.name}: {len(table)} rows x {len(table.names)}" for table in self]
        return f"RunTables({', '.join([*shapes, *(f'workload {name}' for name in self.workloads)])})"


def load_tables(run: Path) -> RunTables:
    """The tables of this run directory. Raises SpecError as `load_records` does."""
    raw = load_records(run)
    measured = tables_of(raw)
    others = raw.plan.workloads if raw.plan is not None else ()
    found = {
        other.name: _of_workload(tables_of(load_workload(run, raw, other)), measured)
        for other in others
        if lexists(run / WORKLOADS / other.name)
    }
    return replace(measured, workloads=found)


def _of_workload(own: RunTables, whole: RunTables) -> RunTables:
    return replace(own, phases=whole.phases, tcp=whole.tcp, queues=whole.queues, hops=whole.hops)


def tables_of(raw: RawRecords) -> RunTables:
    """The tables of these records."""
    timeline, streams = timeline_of(raw), raw.streams
    known = run_evidence(raw, timeline, SeenConnections(raw.connection_ends, raw.host_sockets))
    found = verdicts(streams.gaps, known.evidence)
    origin = timeline.begin
    return RunTables(
        origin_ns=origin,
        end_ns=max(0, raw.end - origin),
        stall_threshold_ns=streams.table.reader.stall,
        streams=Table.of_rows(schemas.STREAMS, stream_rows(StreamContext(raw, timeline, known, found))),
        tokens=_tokens(raw, timeline),
        stalls=Table.of_rows(schemas.STALLS, _stall_rows(found, timeline)),
        phases=Table.of_rows(schemas.PHASES, _phase_rows(raw, timeline)),
        tcp=Table.of_rows(schemas.TCP, tcp_rows(raw, origin)),
        queues=Table.of_rows(schemas.QUEUES, queue_rows(raw.counters, origin)),
        hops=Table.of_rows(schemas.HOPS, hop_rows(raw, origin)),
        groups=groups(stream.request for stream in streams.ended),
    )


def _tokens(raw: RawRecords, timeline: Timeline) -> Table:
    table, count = raw.streams.table, len(raw.streams.table.at)
    phase = np.zeros(count, dtype=np.int32)
    for first in range(0, count if timeline.spans else 0, _BATCH):
        part = slice(first, first + _BATCH)
        phase[part] = timeline.indices_charged(table.at[part], table.at[part] + table.length[part])
    rows = np.arange(count)
    is_first = np.ones(count, dtype=np.bool_)
    is_first[1:] = table.stream[1:] != table.stream[:-1]
    return Table.of(
        schemas.TOKENS,
        {
            "stream": table.stream,
            "number": rows - np.maximum.accumulate(np.where(is_first, rows, 0)) + 1,
            "at_ns": table.at - timeline.begin,
            "gap_ns": np.ma.MaskedArray(table.length, mask=~table.is_gap),
            "gap_phase": phase,
            "is_coalesced": table.is_coalesced,
            "is_stall": table.is_stall,
            "wait_ns": np.where(table.is_gap, table.wait, 0),
        },
    )


def _stall_rows(found: list[Verdict], timeline: Timeline) -> Iterator[tuple[object, ...]]:
    for verdict in found:
        stall, parts = verdict.stall, verdict.parts
        begin, end = stall.gap.begin, stall.gap.end
        yield (
            stall.gap.stream,
            timeline.span_charged(begin, end).name,
            stall.number,
            begin - timeline.begin,
            end - timeline.begin,
            stall.after is None,
            stall.time,
            verdict.cause,
            verdict.kind,
            verdict.kind_confidence if verdict.kind is not None else "none",
            verdict.place,
            verdict.confidence,
            verdict.sentence,
            "; ".join(verdict.records),
            parts.server,
            parts.network,
            parts.client,
            parts.between,
            parts.unknown,
        )


def _phase_rows(raw: RawRecords, timeline: Timeline) -> Iterator[tuple[object, ...]]:
    settings = _settings(raw.plan)
    reference = spec_of(raw.plan or raw.probe).reference
    for span in timeline.spans:
        yield (
            span.name,
            span.round,
            span.begin - timeline.begin,
            span.ready - timeline.begin,
            span.end - timeline.begin,
            None if span.cleared == FOREVER else span.cleared - timeline.begin,
            span.name == reference,
            ", ".join(span.faults),
            settings.get(span.name, ""),
        )


def _settings(plan: Plan | None) -> dict[str, str]:
    """What each phase sets, by its name; of those with one name the first."""
    if plan is None:
        return {}
    return {phase.name: "; ".join(phase_settings(phase, plan.lab)) for phase in reversed(plan.phases)}
