"""When requests start in an open loop, fixed before the first one: gaps from a gamma distribution.

`burstiness` is the gaps' squared coefficient of variation: 0 a metronome, 1 Poisson, above 1 bursts. A gamma
distribution of shape k has 1/k of it (https://en.wikipedia.org/wiki/Gamma_distribution).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from chaoskit import seed as chance
from chaoskit.spec.experiment import Workload

_SECOND = 10**9


def schedule(workload: Workload, seed: int, length: int) -> list[int]:
    """All offsets below `length` ns, in ns from the start, ascending. An open loop's workload only."""
    return list(itertools.takewhile(lambda offset: offset < length, arrivals(workload, seed)))


def arrivals(workload: Workload, seed: int) -> Iterator[int]:
    """The offsets in ns, without end; the first one is 0."""
    assert workload.request_rate is not None, "a closed loop has no schedule"
    mean = 1 / workload.request_rate.per_second
    source = chance.source(seed, "arrivals")
    at = 0.0
    while True:
        yield round(at * _SECOND)
        if workload.burstiness == 0:
            at += mean
        else:
            at += source.gammavariate(1 / workload.burstiness, mean * workload.burstiness)
