"""Judges series: their states, and whether the newest one is worse than the one before.

Rules: a regression is a change to the worse behind which no other change came, never the last run against a bound; the
error rate is shared among the series that are judged together (Bonferroni), so that all of them without any change are
flagged in 5 % of cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from chaoskit.analysis.trends.change_points import ALPHA, change_points, weights_of
from chaoskit.analysis.trends.points import PastRun, Point, Series
from chaoskit.spec.metrics import METRICS

Direction = Literal["worse", "better"]
_QUANTILE = 1.959964  # of the normal distribution, for the half width of a 95 % interval


@dataclass(frozen=True)
class Change:
    """A change between the run `before` and the run `after` it; the levels are medians of the states on both sides."""

    before: PastRun
    after: PastRun
    level_before: float
    level_after: float
    direction: Direction

    @property
    def share(self) -> float | None:
        """The change as a share of the level before; None where that is 0 or never."""
        if not self.level_before or math.isinf(self.level_before) or math.isinf(self.level_after):
            return None
        return self.level_after / self.level_before - 1

    def is_beyond(self, tolerance: float) -> bool:
        """Whether it is larger than this share of the level before."""
        return self.share is None or abs(self.share) > tolerance


@dataclass(frozen=True)
class Trend:
    """A series and its changes, the oldest first."""

    series: Series
    changes: tuple[Change, ...]

    @property
    def newest(self) -> Change | None:
        """What led to the present state."""
        return self.changes[-1] if self.changes else None

    def regression(self, tolerance: float = 0.0) -> Change | None:
        """The newest change if it is one to the worse, beyond the tolerance."""
        change = self.newest
        return change if change and change.direction == "worse" and change.is_beyond(tolerance) else None


def trends(series: Sequence[Series], alpha: float = ALPHA) -> tuple[Trend, ...]:
    """The trend of each of these series, which are judged together."""
    return tuple(_trend(each, alpha / len(series)) for each in series)


def _trend(series: Series, alpha: float) -> Trend:
    points = series.points
    values = [each.value for each in points]
    weights = weights_of([_variance(each) for each in points], [each.count for each in points], values)
    cuts = change_points(values, [float(each) for each in weights], alpha)
    states = [points[begin:end] for begin, end in pairwise((0, *cuts, len(points)))]
    return Trend(series, tuple(_change(series, *pair) for pair in pairwise(states)))


def _change(series: Series, earlier: Sequence[Point], later: Sequence[Point]) -> Change:
    before, after = _level(earlier), _level(later)
    known = METRICS.get(series.subject.metric)
    is_up = _rises(later, earlier) > 0
    is_better = is_up == (known is not None and known.more_is_better)
    return Change(earlier[-1].run, later[0].run, before, after, "better" if is_better else "worse")


def _level(state: Sequence[Point]) -> float:
    """The median of its values, the lower one of two in the middle."""
    return sorted(each.value for each in state)[(len(state) - 1) // 2]


def _rises(later: Sequence[Point], earlier: Sequence[Point]) -> int:
    """How often a value of the later state is above one of the earlier, less how often it is below (Mann-Whitney)."""
    pairs = [(one.value, other.value) for one in later for other in earlier]
    return sum(one > other for one, other in pairs) - sum(one < other for one, other in pairs)


def _variance(point: Point) -> float | None:
    """That of the value by its interval; None where it has none, or one without an end."""
    if point.low is None or point.high is None or math.isinf(point.low) or math.isinf(point.high):
        return None
    return ((point.high - point.low) / (2 * _QUANTILE)) ** 2
