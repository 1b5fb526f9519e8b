"""Estimates a metric from one sample of numbers: its value, and its interval.

| of                                    | interval                                                                |
|---------------------------------------|-------------------------------------------------------------------------|
| a share of streams                    | Clopper's and Pearson's, exact                                          |
| a quantile of one value for each      | between two order statistics, exact                                     |
| a quantile of gaps                    | Woodruff's: `gap_percentiles`                                           |
| a mean, another ratio of sums         | of gamma distributions: `ratio_of_sums`; of a sum of tokens likewise    |
| a number of streams in a time         | Garwood's, exact                                                        |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chaoskit import intervals
from chaoskit.analysis.statistics.censored import CensoredTimes
from chaoskit.analysis.statistics.gap_percentiles import Column, GapPercentiles
from chaoskit.analysis.statistics.mover import Bounded
from chaoskit.analysis.statistics.quantiles import is_unfinished
from chaoskit.analysis.statistics.ratio_of_sums import SumOverStreams
from chaoskit.analysis.summaries import IntervalEstimate
from chaoskit.intervals import TAIL
from chaoskit.spec.sample_size import MIN_STREAMS

GAP_PERCENTS = (50, 90, 95, 99)
Lengths = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """One metric. `streams` is how many it is computed from; without a value `missing` says why.

    Of exact intervals, which have steps and cover at least as much as is asked, `near` covers as much on average. The
    `tail` of an interval is the probability beyond each of its ends. `at_least`: the value is longer than that, and
    nothing more is known of it; `never` streams did not reach what is measured. `groups`: how many groups the
    streams are, where some shared a connection.
    """

    value: float | None
    low: float = 0.0
    high: float = math.inf
    streams: int = 0
    missing: str = ""
    near: tuple[float, float] | None = None
    at_least: float | None = None
    never: int = 0
    groups: int | None = None

    @property
    def bounded(self) -> Bounded | None:
        """The value with the ends that a comparison is made of; None without a value."""
        return None if self.value is None else Bounded(self.value, *(self.near or (self.low, self.high)))

    def scaled(self, factor: float = 1.0) -> IntervalEstimate:
        """As the result has it, multiplied by `factor`."""
        if self.value is None:
            return IntervalEstimate(value=None, missing=self.missing)
        return IntervalEstimate(value=self.value * factor, low=self.low * factor, high=self.high * factor)


def none(reason: str) -> Estimate:
    """There is nothing to estimate it from."""
    return Estimate(None, missing=reason)


def of_values(values: Iterable[float], statistic: str, tail: float = TAIL) -> Estimate:
    """A statistic of one value for each stream, at least one, infinite where it is never reached."""
    return of_times(CensoredTimes(enumerate(values)), statistic, tail)


def of_times(times: CensoredTimes, statistic: str, tail: float = TAIL) -> Estimate:
    """A statistic of at least one time: `p95`, `max`, `mean`."""
    count, at_least = len(times), times.at_least(statistic)
    if statistic == "mean":
        return replace(_mean(times, tail), at_least=at_least, never=times.never)
    if statistic == "max":
        low = times.values[-1] if at_least is None else at_least
        high = times.values[-1] if at_least is None else math.inf
        return Estimate(times.values[-1], low, high, count, at_least=at_least, never=times.never)
    percent = int(statistic.removeprefix("p"))
    low_rank, high_rank = intervals.order_statistic_ranks(percent, count, tail)
    near_low, near_high = intervals.interpolated_ranks(percent, count, tail)
    return Estimate(
        times.percentile(percent),
        times.least[low_rank - 1] if low_rank else 0.0,
        times.most[high_rank - 1] if high_rank <= count else math.inf,
        count,
        near=(_at_rank(times.least, near_low), _at_rank(times.most, near_high)),
        at_least=at_least,
        never=times.never,
    )


def _mean(times: CensoredTimes, tail: float) -> Estimate:
    count = len(times)
    if times.dead:
        return exact(math.inf, count)
    if times.never:
        return replace(mean(times.least, [1.0] * count, tail), value=math.inf, high=math.inf)
    return mean(times.filled, [1.0] * count, tail)


def _at_rank(values: list[float], rank: float) -> float:
    """Between the two values around this rank; 0 below the first, infinity above the last."""
    if rank < 1 or math.isinf(rank):
        return rank if rank else 0.0
    at = min(math.floor(rank), len(values) - 1)
    low, high = values[at - 1], values[min(at, len(values) - 1)]
    return high if low == high or math.isinf(high) else low + (rank - at) * (high - low)


def of_gaps(
    lengths: Lengths, owners: Column, unfinished: Bools | None = None, tail: float = TAIL, together: float = 1.0
) -> dict[str, Estimate]:
    """The percentiles of gaps, at least one, of these `owners`: streams, or groups of so many `together`.

    Of those that are `unfinished` only the least is known: the next token never came.
    """
    gaps, died = (
        GapPercentiles(lengths, owners, tail, together),
        lengths[:0] if unfinished is None else lengths[unfinished],
    )
    has_interval, found = gaps.owners >= MIN_STREAMS, dict[str, Estimate]()
    highest: dict[int, float] = {}
    if has_interval and unfinished is not None and len(died):
        endless = int(lengths.max()) + 1
        most = GapPercentiles(np.where(unfinished, endless, lengths), owners, tail, together)
        highest = _without(endless, most)
    for percent in GAP_PERCENTS:
        value, (low, high) = gaps.value(percent), gaps.interval(percent) if has_interval else (0.0, math.inf)
        at_least = value if is_unfinished(lengths, percent, died, value) else None
        high = max(high, highest.get(percent, high))
        found[f"p{percent}"] = Estimate(value, low, high, gaps.owners, at_least=at_least, never=len(died))
    return found


def _without(endless: int, gaps: GapPercentiles) -> dict[int, float]:
    """The upper ends where gaps that are so long have no end."""
    highs = {percent: gaps.interval(percent)[1] for percent in GAP_PERCENTS}
    return {percent: high if high < endless else math.inf for percent, high in highs.items()}


def mean(parts: Sequence[float], counts: Sequence[float], tail: float = TAIL) -> Estimate:
    """The mean of something that has several values for each stream, whose sums are `parts`."""
    total = math.fsum(parts)
    if math.isinf(total):
        return exact(total, len(parts))
    return _bounded(total / sum(counts), parts, counts, tail=tail)


def share(hits: int, count: int, tail: float = TAIL) -> Estimate:
    """So many of these streams."""
    if not count:
        return none("no stream ended here")
    low, high = intervals.clopper_pearson(hits, count, tail)
    return Estimate(hits / count, low, high, count, near=intervals.wilson(hits, count, tail))


def number_per_second(number: int, seconds: float, streams: int, tail: float = TAIL) -> Estimate:
    """So many of the streams that ended in this time, over it."""
    low, high = intervals.garwood(number, tail)
    return Estimate(number / seconds, low / seconds, high / seconds, streams)


def tokens_per_second(tokens: Sequence[float], seconds: float, streams: int, tail: float = TAIL) -> Estimate:
    """The tokens of each stream that received any in this time, over it."""
    value = sum(tokens) / seconds
    if streams < MIN_STREAMS:
        return Estimate(value, 0.0, math.inf, streams)
    if not tokens:
        return Estimate(value, 0.0, intervals.most_unseen(seconds, tail), streams)
    low, high = SumOverStreams.of_random_number(tokens, seconds, tail).interval
    return Estimate(value, low, high, streams)


def ratio(
    hits: Sequence[float],
    wholes: Sequence[float],
    most: float = math.inf,
    tail: float = TAIL,
    together: float = 1.0,
) -> Estimate:
    """A ratio of sums over streams. The exposure of one that is at most 1 is the number of streams.

    Of sums of groups of streams `together` is how many streams a group has, which all have a hit when one has.
    """
    if not sum(wholes):
        return none("no stream had two tokens")
    exposure = len(wholes) if most == 1.0 else sum(wholes) / together
    if most == 1.0 and sum(hits) >= sum(wholes) and len(wholes) >= MIN_STREAMS:
        return Estimate(1.0, max(0.0, 1 - intervals.most_unseen(exposure, tail)), 1.0, len(wholes))
    if any(hits) or len(wholes) < MIN_STREAMS:
        return _bounded(sum(hits) / sum(wholes), hits, wholes, most, tail)
    return Estimate(0.0, 0.0, min(most, intervals.most_unseen(exposure, tail)), len(wholes))


def exact(value: float, streams: int) -> Estimate:
    """A maximum describes this run alone, and has no interval."""
    return Estimate(value, value, value, streams)


def _bounded(
    value: float, parts: Sequence[float], wholes: Sequence[float], most: float = math.inf, tail: float = TAIL
) -> Estimate:
    """With the interval of its sums; with too few streams it is unbounded."""
    low, high = 0.0, most
    if len(parts) >= MIN_STREAMS:
        low, high = SumOverStreams.of(parts, wholes, most == 1.0, tail).interval if any(parts) else (0.0, 0.0)
    return Estimate(value, min(low, value), max(high, value), len(parts))
