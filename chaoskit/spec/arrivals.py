"""Fixes the start times of an open loop's requests in advance, from the seed.

| what              | how                                                                                        |
|-------------------|--------------------------------------------------------------------------------------------|
| one process       | gamma-distributed gaps, the first request at once                                          |
| clients           | such a process for each, found at a moment in its course, and all of them together         |
| a trace           | its own times, divided by its speed                                                        |
| the day, a surge  | the same process by a clock that runs faster while more is asked: `DemandCurve`            |

`burstiness` is the squared coefficient of variation of the gaps: 0 is constant spacing, 1 is Poisson, above 1 is
bursty. For a gamma distribution of shape k it is 1/k (https://en.wikipedia.org/wiki/Gamma_distribution). A clock that
runs faster keeps it, and multiplies the rate (Cinlar, Introduction to Stochastic Processes, 1975, chapter 4.7).
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left
from collections.abc import Iterator

from chaoskit import seed as seeds
from chaoskit.spec.demand_curve import ALWAYS, DemandCurve, Surges
from chaoskit.spec.replay import read_rows
from chaoskit.spec.workload import Workload

_SECOND = 10**9


def schedule(workload: Workload, seed: int, length: int, surges: Surges = ALWAYS) -> list[int]:
    """All offsets below `length` ns, in ns from the start, ascending. For open-loop workloads only."""
    return list(itertools.takewhile(lambda offset: offset < length, arrivals(workload, seed, surges)))


def arrivals(workload: Workload, seed: int, surges: Surges = ALWAYS) -> Iterator[int]:
    """Offsets in ns, ascending: without end, but for those of a trace. `surges` say what phases multiply by."""
    curve = DemandCurve(surges, workload.diurnal)
    at_own_pace = _at_own_pace(workload, seed)
    if curve.is_flat:
        yield from map(_ns, at_own_pace)
    else:
        yield from map(_ns, curve.moments(at_own_pace))


def expected(workload: Workload, begin: int, end: int, surges: Surges = ALWAYS) -> float:
    """How many requests start from `begin` until before `end`, ns from the start, by the mean of the arrivals."""
    curve = DemandCurve(surges, workload.diurnal)
    first, last = curve.elapsed(begin / _SECOND), curve.elapsed(end / _SECOND)
    if workload.trace is not None:
        rows, speed = read_rows(workload.trace), workload.trace.speed
        return bisect_left(rows.at, last * speed * _SECOND) - bisect_left(rows.at, first * speed * _SECOND)
    assert workload.request_rate is not None, "a closed loop has no schedule"
    return (last - first) * workload.request_rate.per_second


def _at_own_pace(workload: Workload, seed: int) -> Iterator[float]:
    """The offsets in s of a day without hours and of phases that multiply by 1."""
    if workload.trace is not None:
        rows, speed = read_rows(workload.trace), workload.trace.speed
        return (at / speed / _SECOND for at in rows.at)
    assert workload.request_rate is not None, "a closed loop has no schedule"
    mean = 1 / workload.request_rate.per_second
    if workload.clients is None:
        return _renewals(seeds.source(seed, "arrivals"), mean, workload.burstiness, 0.0)
    burstiness = workload.clients.burstiness
    each = []
    for number, part in enumerate(workload.clients.parts):
        source = seeds.source(seed, "arrivals", number)
        each.append(_renewals(source, mean / part, burstiness, _rest_of_gap(source, mean / part, burstiness)))
    return heapq.merge(*each)


def _renewals(source: seeds.Random, mean: float, burstiness: float, first: float) -> Iterator[float]:
    """Endless offsets in s, from the `first` on, with gaps of this mean."""
    at = first
    while True:
        yield at
        at += mean if burstiness == 0 else source.gammavariate(1 / burstiness, mean * burstiness)


def _rest_of_gap(source: seeds.Random, mean: float, burstiness: float) -> float:
    """From a moment that knows nothing of the process to its next request, s.

    The gap around such a moment is found in proportion to its length, which for a gamma distribution of shape k is one
    of shape k + 1; the moment is anywhere in it (Cox, Renewal Theory, 1962, chapter 5).
    """
    gap = mean if burstiness == 0 else source.gammavariate(1 / burstiness + 1, mean * burstiness)
    return source.random() * gap


def _ns(offset: float) -> int:
    return round(offset * _SECOND)
