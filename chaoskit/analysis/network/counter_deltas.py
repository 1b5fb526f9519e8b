"""Computes what passed each qdisc, filter, link and the router in each phase, from their counters.

The drain belongs to the last phase; what passed between two phases, or two rounds of one, belongs to none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeVar

from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.counters import HopCounters
from chaoskit.knobs import Knob
from chaoskit.records.host_records import NamespaceCounters
from chaoskit.records.model import DRAIN, Counters, Hop

R = TypeVar("R", Counters, Hop, NamespaceCounters)
_NOW = "ConntrackEntries"  # no count: of a phase its largest one


class CounterDelta(NamedTuple):
    """Packets of a qdisc, a filter or a link in one phase; `max_backlog` is the longest queue that was sampled."""

    offered: int = 0
    bytes: int = 0
    drops: int = 0
    max_backlog: int = 0
    samples: int = 0


def queue_deltas(counters: Iterable[Counters], timeline: Timeline) -> dict[tuple[str, Knob], CounterDelta]:
    """By the phase's name and the knob; a pair without counters is all zeros."""
    found: dict[tuple[str, Knob], CounterDelta] = defaultdict(CounterDelta)
    for key, pairs in queue_samples(counters, timeline).items():
        for pair in pairs:
            found[key] = _added(found[key], *pair)
    return found


def queue_samples(
    counters: Iterable[Counters], timeline: Timeline
) -> dict[tuple[str, Knob], list[tuple[Counters, Counters]]]:
    """Two successive samples in the same round of a phase, by the phase's name and the knob."""
    series: dict[Knob, list[Counters]] = defaultdict(list)
    for sample in counters:
        series[Knob(sample.kind, sample.place, sample.name)].append(sample)
    found: dict[tuple[str, Knob], list[tuple[Counters, Counters]]] = defaultdict(list)
    for knob, samples in series.items():
        for name, before, after in _pairs(samples, timeline):
            found[name, knob].append((before, after))
    return found


def router_deltas(samples: Iterable[Hop], timeline: Timeline) -> dict[tuple[str, str], HopCounters]:
    """The counters of each router by phase name and router; a phase without samples is left out."""
    found: dict[tuple[str, str], HopCounters] = {}
    series: dict[str, list[Hop]] = defaultdict(list)
    for sample in samples:
        series[sample.place].append(sample)
    pairs = ((place, pair) for place, each in series.items() for pair in _pairs(each, timeline))
    for place, (name, before, after) in pairs:
        total = found.get((name, place), HopCounters(0, 0, 0))
        found[name, place] = HopCounters(
            total.received + after.came - before.came,
            total.too_big + after.too_long - before.too_long,
            total.icmp_too_big + after.signals - before.signals,
        )
    return found


def namespace_deltas(
    samples: Iterable[NamespaceCounters], timeline: Timeline
) -> dict[str, dict[str, tuple[dict[str, int], dict[str, str]]]]:
    """What each namespace counted by phase name, and why others are missing; a phase without samples is left out."""
    series: dict[str, list[NamespaceCounters]] = defaultdict(list)
    for sample in samples:
        series[sample.place].append(sample)
    found: dict[str, dict[str, tuple[dict[str, int], dict[str, str]]]] = defaultdict(dict)
    for place, each in series.items():
        for phase, before, after in _pairs(each, timeline):
            sums, _ = found[phase].get(place, ({}, {}))
            added = {
                name: max(sums.get(name, 0), before.counters.get(name, 0), count)
                if name == _NOW
                else sums.get(name, 0) + max(0, count - before.counters.get(name, count))
                for name, count in after.counters.items()
            }
            found[phase][place] = added, after.missing
    return found


def _pairs(samples: Iterable[R], timeline: Timeline) -> Iterator[tuple[str, R, R]]:
    """Two successive samples in the same round of a phase, with the phase's name."""
    last = timeline.spans[-1].name if timeline.spans else ""
    for before, after in pairwise(samples):
        names = [last if sample.phase == DRAIN else sample.phase for sample in (before, after)]
        if names[0] == names[1] and before.round == after.round:
            yield names[0], before, after


def _added(total: CounterDelta, before: Counters, after: Counters) -> CounterDelta:
    """Counters that decreased belong to a new qdisc, which began at 0."""
    if after.packets < before.packets or after.drops < before.drops:
        packets, size, drops, backlog = after.packets, after.bytes, after.drops, after.qlen
    else:
        packets, size = after.packets - before.packets, after.bytes - before.bytes
        drops, backlog = after.drops - before.drops, after.qlen - before.qlen
    return CounterDelta(
        total.offered + max(0, packets + drops + backlog),
        total.bytes + size,
        total.drops + drops,
        max(total.max_backlog, after.qlen),
        total.samples + 1,
    )
