"""Estimates metrics of streams, of which those that shared a connection are not independent.

A value is that of the streams, its interval that of their groups. Where no stream shared a connection, each one is a
group, and the interval is that of `estimators`. Else all intervals are of sums over groups (`ratio_of_sums`), which are
clusters of streams (Cochran, Sampling Techniques, 1977, chapter 9A); those of fewer than `MIN_STREAMS` groups are open.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chaoskit import intervals
from chaoskit.analysis.statistics import estimators
from chaoskit.analysis.statistics.censored import CensoredTimes
from chaoskit.analysis.statistics.estimators import Estimate
from chaoskit.analysis.statistics.gap_percentiles import GapPercentiles
from chaoskit.analysis.streams.connection_groups import Groups
from chaoskit.analysis.streams.gaps import Gaps
from chaoskit.spec.sample_size import MIN_STREAMS


@dataclass(frozen=True)
class Sampling:
    """Which streams are independent of one another. `tail` is the probability beyond each end of an interval."""

    groups: Groups
    tail: float = intervals.TAIL

    def ratio(
        self, streams: Sequence[int], hits: Sequence[float], wholes: Sequence[float], most: float = math.inf
    ) -> Estimate:
        """A ratio of sums over these streams."""
        if not self.groups.are_in(streams):
            return estimators.ratio(hits, wholes, most, self.tail)
        parts, whole = self.groups.sums(streams, hits), self.groups.sums(streams, wholes)
        return self._of_groups(estimators.ratio(parts, whole, most, self.tail, len(streams) / len(whole)), streams)

    def mean(self, streams: Sequence[int], sums: Sequence[float], counts: Sequence[float]) -> Estimate:
        """The mean of something that has several values for each stream."""
        found = estimators.mean(self.groups.sums(streams, sums), self.groups.sums(streams, counts), self.tail)
        return self._of_groups(found, streams)

    def share(self, hits: Collection[int], streams: Sequence[int]) -> Estimate:
        """So many of these streams."""
        if not self.groups.are_in(streams):
            return estimators.share(len(hits), len(streams), self.tail)
        return self.ratio(streams, [stream in hits for stream in streams], [1] * len(streams), most=1.0)

    def number_per_second(self, hits: Collection[int], seconds: float, streams: Collection[int]) -> Estimate:
        """So many of the streams that ended in this time, over it."""
        if not self.groups.are_in(streams):
            return estimators.number_per_second(len(hits), seconds, len(streams), self.tail)
        return self.tokens_per_second(dict.fromkeys(hits, 1), seconds, streams)

    def tokens_per_second(self, tokens: Mapping[int, float], seconds: float, streams: Collection[int]) -> Estimate:
        """The tokens of each stream that received any in this time, over it."""
        if not self.groups.are_in(streams):
            return estimators.tokens_per_second(list(tokens.values()), seconds, len(streams), self.tail)
        number = len(set(self.groups.each(streams)))
        sums = self.groups.sums(list(tokens), list(tokens.values()))
        found = estimators.tokens_per_second(sums, seconds, number, self.tail)
        high = found.high if sums else found.high * len(streams) / number
        return replace(found, high=high, streams=len(streams), groups=number)

    def times(self, times: CensoredTimes, statistic: str) -> Estimate:
        """A statistic of at least one time: `p95`, `max`, `mean`."""
        found = estimators.of_times(times, statistic, self.tail)
        if statistic == "max" or not self.groups.of:
            return found
        streams, least, most = (list(column) for column in zip(*times.bounds, strict=True))
        if not self.groups.are_in(streams):
            return found
        owners = self.groups.each(streams)
        number = len(set(owners))
        if number < MIN_STREAMS:
            low, high = 0.0, math.inf
        elif statistic == "mean":
            low, high = self.mean(streams, least, [1] * len(least)).low, self.mean(streams, most, [1] * len(most)).high
        else:
            percent, together = int(statistic.removeprefix("p")), len(owners) / number
            low, _ = GapPercentiles(least, owners, self.tail, together).interval(percent)
            _, high = GapPercentiles(most, owners, self.tail, together).interval(percent)
        return replace(found, low=low, high=high, near=None, groups=number)

    def gaps(self, gaps: Gaps, streams: Sequence[int]) -> dict[str, Estimate]:
        """The percentiles of at least one gap, and of all of these streams, which are in the order of the gaps."""
        owners, together = gaps.stream, 1.0
        if self.groups.are_in(streams):
            each = self.groups.each(streams)
            owners, together = np.asarray(each)[np.searchsorted(streams, owners)], len(each) / len(set(each))
        found = estimators.of_gaps(gaps.length, owners, gaps.are_unfinished, self.tail, together)
        return {name: self._of_groups(each, streams) for name, each in found.items()}

    def _of_groups(self, found: Estimate, streams: Sequence[int]) -> Estimate:
        return replace(found, streams=len(streams), groups=found.streams) if self.groups.are_in(streams) else found
