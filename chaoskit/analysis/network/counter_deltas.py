"""What passed each qdisc, each filter, each link and the router in each phase: the differences of their counters.

The drain is its last phase's; what passed between two phases, or between two rounds of one, is nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeVar

from chaoskit.analysis.streams.timeline import DRAIN, Timeline
from chaoskit.knobs import HopCounters, Knob
from chaoskit.records.model import Counters, Hop

R = TypeVar("R", Counters, Hop)


class Passed(NamedTuple):
    """What went through a qdisc, by a filter, or to a link, in one phase; `fullest` is the most seen waiting."""

    offered: int = 0
    bytes: int = 0
    drops: int = 0
    fullest: int = 0
    samples: int = 0


def passages(counters: Iterable[Counters], timeline: Timeline) -> dict[tuple[str, Knob], Passed]:
    """By the phase's name and the knob; of a pair that nobody counted, nothing."""
    series: dict[Knob, list[Counters]] = defaultdict(list)
    for sample in counters:
        series[Knob(sample.kind, sample.place, sample.name)].append(sample)
    found: dict[tuple[str, Knob], Passed] = defaultdict(Passed)
    for knob, samples in series.items():
        for name, before, after in _pairs(samples, timeline):
            found[name, knob] = _more(found[name, knob], before, after)
    return found


def hop(samples: Iterable[Hop], timeline: Timeline) -> dict[str, HopCounters]:
    """What the router did in each phase, by the phase's name; a phase that nobody looked at is not there."""
    found: dict[str, HopCounters] = {}
    for name, before, after in _pairs(samples, timeline):
        so_far = found.get(name, HopCounters(0, 0, 0))
        found[name] = HopCounters(
            so_far.received + after.came - before.came,
            so_far.too_big + after.too_long - before.too_long,
            so_far.icmp_too_big + after.signals - before.signals,
        )
    return found


def _pairs(samples: Iterable[R], timeline: Timeline) -> Iterator[tuple[str, R, R]]:
    """Two looks in a row at the same passage of a phase, with its name."""
    last = timeline.spans[-1].name if timeline.spans else ""
    for before, after in pairwise(samples):
        names = [last if sample.phase == DRAIN else sample.phase for sample in (before, after)]
        if names[0] == names[1] and before.round == after.round:
            yield names[0], before, after


def _more(so_far: Passed, before: Counters, after: Counters) -> Passed:
    """Counters that have fallen belong to a new qdisc, which began at 0."""
    if after.packets < before.packets or after.drops < before.drops:
        packets, size, drops, waiting = after.packets, after.bytes, after.drops, after.qlen
    else:
        packets, size = after.packets - before.packets, after.bytes - before.bytes
        drops, waiting = after.drops - before.drops, after.qlen - before.qlen
    return Passed(
        so_far.offered + max(0, packets + drops + waiting),
        so_far.bytes + size,
        so_far.drops + drops,
        max(so_far.fullest, after.qlen),
        so_far.samples + 1,
    )
