"""Computes intervals of ratios of sums over streams: stalls per minute, shares of time, means.

Rules: the streams are independent of one another (groups of them, where they shared a connection), what happens within
one is not. A sum that a few streams
contribute to is skewed, and its spread is estimated from the same few: so the ends are those of gamma distributions
with the sum's mean and variance (Fay and Feuer, Statistics in Medicine 16 (1997), where the counts have a weight each).
The upper one is of the sum with one more stream in it, as bad as the worst seen, worse where the streams are skewed;
Student's t stands for the variance being an estimate. A share of more than half is looked at from the other side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from chaoskit import intervals

_OF_SKEWNESS = (
    3  # by simulation: with it 20 streams whose stalls gather in a few are covered, and nothing else is wider
)


@dataclass(frozen=True)
class SumOverStreams:
    """sum(parts) / sum(wholes), with one of each for every stream, of at least two. `is_share`: it is at most 1.

    `spread` is the variance of sum(parts) given sum(wholes), with the factor for its being an estimate; `worst` and
    `best` are how much one more stream may have beyond its share of the sum, and below it. `tail` is the
    interval's. `together`: of what is counted so much comes at a time, from as many streams that shared a connection.
    """

    total: float
    whole: float
    spread: float
    worst: float
    best: float = 0.0
    is_share: bool = False
    tail: float = intervals.TAIL
    together: float = 1.0

    @classmethod
    def of(
        cls,
        parts: ArrayLike,
        wholes: ArrayLike,
        is_share: bool = False,
        tail: float = intervals.TAIL,
        together: float = 1.0,
    ) -> SumOverStreams:
        """That of these streams."""
        part, whole = np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)
        total, sum_of_wholes, count = float(part.sum()), float(whole.sum()), len(part)
        beyond = part - whole * (total / sum_of_wholes)
        square = float(beyond @ beyond)
        of_estimate = count / (count - 1) * (intervals.student(count - 1, tail) / intervals.normal(tail)) ** 2
        skewness = (
            float((beyond**2) @ beyond) / square**1.5 if square else 0.0
        )  # of the sum: 1/sqrt(count) of a stream's
        most, least = float(beyond.max()) * _more(skewness), -float(beyond.min()) * _more(-skewness)
        if is_share:  # of which no stream has more than its whole
            longest, share = float(whole.max()), total / sum_of_wholes
            most, least = min(most, longest * (1 - share)), min(least, longest * share)
        return cls(total, sum_of_wholes, square * of_estimate, most, least, is_share, tail, together)

    @classmethod
    def of_random_number(cls, parts: Sequence[float], exposure: float, tail: float = intervals.TAIL) -> SumOverStreams:
        """sum(parts) / exposure where the number of streams is random as well: a compound Poisson sum."""
        part = np.asarray(parts, dtype=float)
        return cls(float(part.sum()), exposure, float(part @ part), float(part.max()), tail=tail)

    @property
    def interval(self) -> tuple[float, float]:
        """Its interval, of parts that are not all 0."""
        if self._is_large:
            low, high = self._rest.interval
            return 1 - high, 1 - low
        if not self._varies:
            return self.total / self.whole, self.total / self.whole
        (low_shape, low_scale), (high_shape, high_scale) = self._lower, self._upper
        low = intervals.gamma_quantile(self.tail, low_shape) * low_scale
        high = intervals.gamma_quantile(1 - self.tail, high_shape) * high_scale
        return low / self.whole, min(high / self.whole, 1.0) if self.is_share else high / self.whole

    def is_below(self, bound: float) -> bool:
        """Whether the interval is, at the most up to it. Without anything seen: by Garwood's of independent parts."""
        if not self.total:
            return intervals.most_unseen(self.whole / self.together, self.tail) <= bound
        if self._is_large:
            return self._rest.is_above(1 - bound)
        if not self._varies:
            return self.total <= bound * self.whole
        shape, scale = self._upper
        return intervals.gamma_cdf(bound * self.whole / scale, shape) >= 1 - self.tail

    def is_above(self, bound: float) -> bool:
        """Whether the interval is, at the least from it on."""
        if not self.total:
            return bound <= 0
        if self._is_large:
            return self._rest.is_below(1 - bound)
        if not self._varies:
            return self.total >= bound * self.whole
        shape, scale = self._lower
        return intervals.gamma_cdf(bound * self.whole / scale, shape) <= self.tail

    @property
    def _is_large(self) -> bool:
        return self.is_share and self.total > self.whole / 2

    @property
    def _varies(self) -> bool:
        """Whether the streams differ, beyond what rounding does."""
        return self.spread > (1e-9 * self.total) ** 2

    @property
    def _rest(self) -> SumOverStreams:
        return replace(self, total=self.whole - self.total, worst=self.best, best=self.worst)

    @property
    def _lower(self) -> tuple[float, float]:
        """Shape and scale of the gamma distribution whose quantile is the lower end."""
        return self.total**2 / self.spread, self.spread / self.total

    @property
    def _upper(self) -> tuple[float, float]:
        """The same of the upper end. The worst of a share counts for less, the nearer this is to a half."""
        more = self.worst * (1 - 2 * self.total / self.whole if self.is_share else 1)
        total, spread = self.total + more, self.spread + more**2
        return total**2 / spread, spread / total


def _more(skewness: float) -> float:
    return 1 + _OF_SKEWNESS * max(0.0, skewness) ** 2
