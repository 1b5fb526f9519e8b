"""Fixes the start times of an open loop's requests in advance, with gamma-distributed gaps.

`burstiness` is the squared coefficient of variation of the gaps: 0 is constant spacing, 1 is Poisson, above 1 is
bursty. For a gamma distribution of shape k it is 1/k (https://en.wikipedia.org/wiki/Gamma_distribution).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from chaoskit import seed as seeds
from chaoskit.spec.workload import Workload

_SECOND = 10**9


def schedule(workload: Workload, seed: int, length: int) -> list[int]:
    """All offsets below `length` ns, in ns from the start, ascending. For open-loop workloads only."""
    return list(itertools.takewhile(lambda offset: offset < length, arrivals(workload, seed)))


def arrivals(workload: Workload, seed: int) -> Iterator[int]:
    """Endless offsets in ns; the first is 0."""
    assert workload.request_rate is not None, "a closed loop has no schedule"
    mean = 1 / workload.request_rate.per_second
    source = seeds.source(seed, "arrivals")
    at = 0.0
    while True:
        yield round(at * _SECOND)
        if workload.burstiness == 0:
            at += mean
        else:
            at += source.gammavariate(1 / workload.burstiness, mean * workload.burstiness)
