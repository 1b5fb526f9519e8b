"""Draws streams that share connections, and estimates them as groups, or as if each were independent, for `coverage`.

What happens to a connection happens to most of its streams: a lost packet stalls them, a reset ends them, a queue on
the path delays their first tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.statistics.censored import CensoredTimes
from chaoskit.analysis.statistics.estimators import Estimate
from chaoskit.analysis.statistics.sampling import Sampling
from chaoskit.analysis.streams.connection_groups import Groups

EACH = 8
SIZES = (12, 25, 60)
Random = np.random.Generator
Drawn = tuple[str, str, float, Callable[[Random], tuple[float, float]]]
"""A metric, its size, its true value, and what draws a run and gives back its interval."""


def stalls(mean: float, sampling: Sampling, owner: NDArray[np.int64], random: Random) -> Estimate:
    """Of streams of 20 s, that are hit by nine of ten losses of their connection; `mean` a minute."""
    losses = random.poisson(mean / 3 / 0.9, int(owner.max()) + 1)
    hits = random.binomial(losses[owner], 0.9)
    return sampling.ratio(list(range(len(owner))), hits.tolist(), [1 / 3] * len(owner))


def deaths(sampling: Sampling, owner: NDArray[np.int64], random: Random) -> Estimate:
    """One connection in five is reset, with four of five of its streams."""
    is_reset = random.random(int(owner.max()) + 1) < 0.2
    dead = is_reset[owner] & (random.random(len(owner)) < 0.8)
    return sampling.share(set(np.flatnonzero(dead).tolist()), list(range(len(owner))))


def first_tokens(statistic: str, sampling: Sampling, owner: NDArray[np.int64], random: Random) -> Estimate:
    """Half of the variance of the logarithm is the connection's."""
    of_connection = random.normal(5, 0.4, int(owner.max()) + 1)
    times = np.exp(of_connection[owner] + random.normal(0, 0.4, len(owner)))
    return sampling.times(CensoredTimes(enumerate(times.tolist())), statistic)


def grouped() -> Iterator[Drawn]:
    """The same runs both ways."""
    spread = math.sqrt(2) * 0.4
    metrics: tuple[tuple[str, float, Callable[..., Estimate]], ...] = (
        ("`stalls_per_minute`", 3.0, partial(stalls, 3.0)),
        ("`stalls_per_minute`, rare", 0.3, partial(stalls, 0.3)),
        ("`interruption_rate` 16%", 0.16, deaths),
        ("`ttft_p50`", math.exp(5), partial(first_tokens, "p50")),
        ("`ttft_p90`", math.exp(5 + 1.2815516 * spread), partial(first_tokens, "p90")),
        ("`ttft_mean`", math.exp(5 + spread**2 / 2), partial(first_tokens, "mean")),
    )
    for how in ("shared", "shared, as if independent"):
        for name, truth, draw in metrics:
            for count in SIZES:
                owner = np.repeat(np.arange(count), EACH)
                known = Groups(dict(enumerate((owner * EACH).tolist()))) if how == "shared" else Groups()
                run = partial(_interval, partial(draw, Sampling(known), owner))
                yield f"{name}, {how}", f"{count} x {EACH}", truth, run


def _interval(draw: Callable[[Random], Estimate], random: Random) -> tuple[float, float]:
    found = draw(random)
    return found.low, found.high
