"""Puts the streams of several runs together, as if one run had had them all.

Each run's streams keep their order and get numbers of their own in the pool: its first one is told beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeVar

import numpy as np

from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.columns import Ints, Tokens
from chaoskit.analysis.streams.connection_groups import Groups
from chaoskit.analysis.streams.gaps import Gaps, GapTable
from chaoskit.analysis.streams.latencies import Unreached
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.analysis.streams.token_counts import TokenCounts
from chaoskit.records.model import Request

V = TypeVar("V")
Samples = Mapping[str, PhaseSamples]


@dataclass(frozen=True)
class Place:
    """Where a run's streams are in the pool: added to the number of a stream, and to that of a row of its table."""

    number: int
    row: int


def pool(runs: Sequence[Samples]) -> tuple[dict[str, PhaseSamples], tuple[int, ...]]:
    """The samples of each phase that any run has, and what is added to the numbers of each run's streams."""
    tables = [next(iter(samples.values())).gaps.table for samples in runs]
    firsts = accumulate([0, *(_most(samples, table) + 1 for samples, table in zip(runs, tables, strict=True))])
    rows = accumulate([0, *(len(table.stream) for table in tables)])
    places = [Place(*pair) for pair in zip(firsts, rows, strict=True)][:-1]
    table = _joined(tables, places)
    names = dict.fromkeys(name for samples in runs for name in samples)
    return {
        name: _pooled(
            [(samples[name], place) for samples, place in zip(runs, places, strict=True) if name in samples], table
        )
        for name in names
    }, tuple(place.number for place in places)


def requests_of(samples: Samples) -> Iterable[Request]:
    """The requests of all its streams, each once."""
    return {stream.number: stream.request for sample in samples.values() for stream in sample.streams}.values()


def _most(samples: Samples, table: GapTable) -> int:
    """The highest number of a stream."""
    of_table = [int(table.stream.max())] if len(table.stream) else []
    return max((*of_table, *(request.stream for request in requests_of(samples))), default=0)


def _pooled(parts: Sequence[tuple[PhaseSamples, Place]], table: GapTable) -> PhaseSamples:
    names = dict.fromkeys(name for sample, _ in parts for name in sample.times)
    metrics = dict.fromkeys(metric for sample, _ in parts for metric in sample.told)
    return PhaseSamples(
        name=parts[0][0].name,
        seconds=sum(sample.seconds for sample, _ in parts),
        streams=tuple(_moved(stream, place, table) for sample, place in parts for stream in sample.streams),
        times={
            name: [
                (number + place.number, time) for sample, place in parts for number, time in sample.times.get(name, ())
            ]
            for name in names
        },
        gaps=Gaps(table, np.concatenate([sample.gaps.rows.astype(np.int64) + place.row for sample, place in parts])),
        tokens=_numbered((sample.tokens, place) for sample, place in parts),
        events=_numbered((sample.events, place) for sample, place in parts),
        delivered=frozenset(number + place.number for sample, place in parts for number in sample.delivered),
        told={metric: _numbered((sample.told.get(metric, {}), place) for sample, place in parts) for metric in metrics},
        unreached={
            name: _unreached([(sample.unreached[name], place) for sample, place in parts if name in sample.unreached])
            for name in dict.fromkeys(name for sample, _ in parts for name in sample.unreached)
        },
        groups=Groups(
            {
                number + place.number: group + place.number
                for sample, place in parts
                for number, group in sample.groups.of.items()
            }
        ),
    )


def _unreached(parts: Sequence[tuple[Unreached, Place]]) -> Unreached:
    return Unreached(
        given_up=_numbered((each.given_up, place) for each, place in parts),
        cut=_numbered((each.cut, place) for each, place in parts),
        unfinished=frozenset(number + place.number for each, place in parts for number in each.unfinished),
    )


def _numbered(parts: Iterable[tuple[Mapping[int, V], Place]]) -> dict[int, V]:
    return {number + place.number: value for each, place in parts for number, value in each.items()}


def _moved(stream: Stream, place: Place, table: GapTable) -> Stream:
    request = replace(stream.request, stream=stream.number + place.number)
    return replace(stream, request=request, first=stream.first + place.row, table=table)


def _joined(tables: Sequence[GapTable], places: Sequence[Place]) -> GapTable:
    """One table with the rows of all."""
    pairs = list(zip(tables, places, strict=True))
    return GapTable(
        reader=tables[0].reader,
        token_counts=TokenCounts(
            _numbered(
                ({number: table.token_counts.of(number, 1) for number in np.unique(table.stream).tolist()}, place)
                for table, place in pairs
            ),
            None,
        ),
        planned_pace=_numbered((table.planned_pace, place) for table, place in pairs),
        computed=frozenset(number + place.number for table, place in pairs for number in table.computed),
        first_sent=_numbered((table.first_sent, place) for table, place in pairs),
        stream=np.concatenate([table.stream.astype(np.int64) + place.number for table, place in pairs]),
        at=np.concatenate([table.at for table in tables]),
        size=np.concatenate([table.size for table in tables]),
        length=np.concatenate([table.length for table in tables]),
        wait=np.concatenate([table.wait for table in tables]),
        is_coalesced=np.concatenate([table.is_coalesced for table in tables]),
        is_gap=np.concatenate([table.is_gap for table in tables]),
        is_stall=np.concatenate([table.is_stall for table in tables]),
        pauses=(_rows([table.pauses[0] for table in tables], places), np.concatenate([t.pauses[1] for t in tables])),
        stalls=(
            _rows([table.stalls[0] for table in tables], places),
            _rows([table.stalls[1] for table in tables], places),
        ),
        ends=(
            _rows([table.ends[0] for table in tables], places),
            Tokens(*map(np.concatenate, zip(*(table.ends[1] for table in tables), strict=True))),
        ),
    )


def _rows(columns: Sequence[Ints], places: Sequence[Place]) -> Ints:
    return np.concatenate([column.astype(np.int64) + place.row for column, place in zip(columns, places, strict=True)])
