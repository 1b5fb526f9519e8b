"""Simulates runs that end when their objective is decided, whose bound is the truth: each decision is wrong.

`make coverage` runs them with the others. A run is looked at after each of its rounds, with the intervals of so many
looks (`planning/until_decided`), until one excludes the truth. That look's interval counts, or else the last one: so
"covers" is how often all looks together were right, "too low" how often it was called below the bound, and wrongly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from chaoskit.analysis.statistics import estimators, mover
from chaoskit.analysis.statistics.estimators import Estimate
from chaoskit.planning.until_decided import tail_of

Random = np.random.Generator
Draw = Callable[[Random, int], Any]
"""Columns of so many streams, one row for each."""
Look = Callable[[Any, float], Estimate]
"""The estimate of the first rows, and its tail."""


@dataclass(frozen=True)
class Looks:
    """So many looks, after so many more streams each (in each phase)."""

    looks: int
    size: int

    def __str__(self) -> str:
        return f"{self.looks} x {self.size}"


def until_decided(draw: Draw, look: Look, truth: float, plan: Looks, random: Random) -> tuple[float, float]:
    """The interval at which a run ends."""
    rows, tail = draw(random, plan.looks * plan.size), tail_of(plan.looks)
    for number in range(1, plan.looks + 1):
        found = look(rows[: number * plan.size], tail)
        if not found.low <= truth <= found.high:
            break
    return found.low, found.high


def compared_until_decided(
    draws: tuple[Draw, Draw], look: Look, truth: float, plan: Looks, random: Random
) -> tuple[float, float]:
    """The same of the ratio of two phases."""
    count, tail = plan.looks * plan.size, tail_of(plan.looks)
    value, reference = (draw(random, count) for draw in draws)
    low, high = 0.0, math.inf
    for number in range(1, plan.looks + 1):
        one, other = (look(rows[: number * plan.size], tail).bounded for rows in (value, reference))
        assert one is not None
        assert other is not None
        low, high = mover.ratio_interval(one, other) if other.value else (0.0, math.inf)
        if not low <= truth <= high:
            break
    return low, high


def statistic(name: str, rows: Any, tail: float) -> Estimate:
    """Of latencies."""
    return estimators.of_values(np.sort(rows).tolist(), name, tail)


def stalling(mean: float, shape: float, random: Random, count: int) -> Any:
    """Stalls and minutes of streams; the smaller `shape` is, the more the stalls gather in few of them."""
    minutes = random.lognormal(math.log(1 / 3), 0.4, count)
    return np.column_stack((random.poisson(random.gamma(shape, mean / shape, count) * minutes), minutes))


def waiting(random: Random, count: int) -> Any:
    """Waiting time and length: 60 % of the streams never wait."""
    length = random.lognormal(3, 0.4, count)
    return np.column_stack((np.where(random.random(count) < 0.6, 0, random.beta(2, 14, count)) * length, length))


def ratio(most: float, rows: Any, tail: float) -> Estimate:
    """Of sums of two columns."""
    return estimators.ratio(rows[:, 0].tolist(), rows[:, 1].tolist(), most, tail)


def share(rows: Any, tail: float) -> Estimate:
    """Of streams."""
    return estimators.share(int(rows.sum()), len(rows), tail)


def interrupted(chance: float, random: Random, count: int) -> Any:
    """Whether each is."""
    return random.random(count) < chance


def ended(random: Random, count: int) -> Any:
    """How many good streams ended in each second, two on average."""
    return random.poisson(2.0, count)


def goodput(rows: Any, tail: float) -> Estimate:
    """Of so many seconds."""
    return estimators.number_per_second(int(rows.sum()), len(rows), int(rows.sum()), tail)


def gapped(pair: Callable[[Random, int], tuple[Any, Any]], random: Random, count: int) -> Any:
    """The gaps of each stream."""
    lengths, owners = pair(random, count)
    return np.split(lengths, np.flatnonzero(np.diff(owners)) + 1)


def percentile_of_gaps(percent: int, rows: Any, tail: float) -> Estimate:
    """Of the gaps of these streams."""
    owners = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    return estimators.of_gaps(np.concatenate(rows), owners, tail=tail)[f"p{percent}"]


def sequential(
    steady: Draw, mixed: Draw, quantile: Callable[[Draw, int], float], gaps: tuple[Any, Callable[[int], float]]
) -> Iterator[tuple[str, str, float, Callable[[Random], tuple[float, float]], bool]]:
    """The metric, the looks, the truth and a run of each case, and whether its intervals are exact at each look.

    The latencies of two phases, the true quantile of either, the gaps of streams and their true percentile are given.
    """
    alone: list[tuple[str, float, Draw, Look, bool]] = [
        ("`ttft_mean`", 300 * math.exp(0.08), steady, partial(statistic, "mean"), False),
        ("`stalls_per_minute`, variance x2", 3.0, partial(stalling, 3.0, 1.0), partial(ratio, math.inf), False),
        ("`stall_ratio`", 0.4 * 2 / 16, waiting, partial(ratio, 1.0), False),
        ("`goodput`", 2.0, ended, goodput, True),
    ]
    for percent in (50, 95):
        alone.append((f"`ttft_p{percent}`", quantile(mixed, percent), mixed, partial(statistic, f"p{percent}"), True))
        of_gaps = partial(percentile_of_gaps, percent)
        alone.append((f"`itl_p{percent}`", gaps[1](percent), partial(gapped, gaps[0]), of_gaps, False))
    for chance in (0.02, 0.2):
        alone.append((f"`interruption_rate` {chance:.0%}", chance, partial(interrupted, chance), share, True))
    for metric, truth, draw, look, is_exact in alone:
        for plan in (Looks(5, 40), Looks(10, 40)):
            yield metric, str(plan), truth, partial(until_decided, draw, look, truth, plan), is_exact
    stalls = (partial(stalling, 6.0, 1.0), partial(stalling, 3.0, 1.0))
    of_means = 400 * 1.3 * math.exp(0.125) / (300 * math.exp(0.08))
    pairs: list[tuple[str, float, tuple[Draw, Draw], Look]] = [
        ("`ttft_p50`", quantile(mixed, 50) / quantile(steady, 50), (mixed, steady), partial(statistic, "p50")),
        ("`ttft_mean`", of_means, (mixed, steady), partial(statistic, "mean")),
        ("`stalls_per_minute`", 2.0, stalls, partial(ratio, math.inf)),
    ]
    for metric, truth, draws, look in pairs:
        for plan in (Looks(5, 40), Looks(10, 40)):
            run = partial(compared_until_decided, draws, look, truth, plan)
            yield f"ratio of {metric}", str(plan), truth, run, False
