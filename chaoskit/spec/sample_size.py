"""Says how many streams an objective needs, at the least, to be met and to be broken.

They are enough when the case is clear: all is well (every value on the good side of the bound, nothing interrupted, no
stall), or all is broken. Otherwise it takes more, which only a run can tell. The analysis takes its least numbers from
here, and its intervals from the same functions.

| metric                                  | streams with nothing beyond the bound                             |
|-----------------------------------------|-------------------------------------------------------------------|
| a quantile of one value for each stream | until the order statistics bound it: 72 for a p95                 |
| a share of the streams                  | until Clopper's and Pearson's interval does: 368 for "<= 1%"      |
| a ratio of sums                         | until Garwood's does: of streams, or of minutes of streaming      |
| a quantile of gaps                      | `MIN_STREAMS`, with as many gaps as Garwood's takes: 369 for a p99 |
| a mean                                  | `MIN_STREAMS`                                                     |
| a maximum                               | one: it describes this run alone                                  |
| `recovery_time`                         | a row of them before the phase, and one after it                  |
"""

from __future__ import annotations

import math
import re
from dataclasses import astuple, dataclass

from chaoskit import intervals
from chaoskit.spec.objectives import Objective

MIN_STREAMS = 10  # fewer say too little of how streams differ
RECOVERY_ROW = 20  # requests in a row, whose goodput is compared with that before a phase
OF_RETRIEVAL = tuple(f"retrieval_{what}_ratio" for what in ("fallback", "miss", "timeout", "error", "degraded"))
OF_SPANS = (*OF_RETRIEVAL, "degraded_ratio", "queued_rate", "downgrade_rate")
"""The shares that spans tell."""
SHARES_OF_STREAMS = ("interruption_rate", "empty_rate", "short_rate", "shed_rate", *OF_SPANS)
_SUMS = ("stalls_per_minute", "stall_ratio", "stall_interval_fraction")  # ratios of sums, 0 when all is well


@dataclass(frozen=True)
class SampleSize:
    """`streams` in each phase that the objective names; the `minutes` that they stream and their `gaps`, together."""

    streams: int
    minutes: float = 0.0
    gaps: int = 0


@dataclass(frozen=True)
class SampleSizes:
    """What it takes to be met, and to be broken. None: no number is enough."""

    to_be_met: SampleSize | None
    to_be_broken: SampleSize | None

    @property
    def to_be_decided(self) -> SampleSize | None:
        """What it takes so that both verdicts are possible. None: one of them never is."""
        if self.to_be_met is None or self.to_be_broken is None:
            return None
        both = (self.to_be_met, self.to_be_broken)
        return SampleSize(*(max(amounts) for amounts in zip(*map(astuple, both), strict=True)))


def sample_sizes(objective: Objective, tail: float = intervals.TAIL) -> SampleSizes:
    """The sizes for this objective, by intervals with the probability `tail` beyond each end."""
    below, above = _below(objective, tail), _above(objective, tail)
    return SampleSizes(below, above) if objective.operator in ("<", "<=") else SampleSizes(above, below)


def tail_beyond(metric: str) -> float | None:
    """The share of streams that may lie beyond a quantile of one value for each stream; None for other metrics."""
    name, _, statistic = metric.rpartition("_")
    if name == "itl" or not statistic.startswith("p") or not statistic[1:].isdigit():
        return None
    return (100 - int(statistic[1:])) / 100


def gap_tail(metric: str) -> float | None:
    """The share of gaps that may lie beyond a quantile of gaps; None for other metrics."""
    found = re.fullmatch(r"itl_p(\d+)", metric)
    return None if found is None else (100 - int(found[1])) / 100


def is_zero_when_well(metric: str) -> bool:
    """Whether nothing is a multiple of it when all is well."""
    return metric in (*_SUMS, *SHARES_OF_STREAMS)


def bound_of(objective: Objective) -> float:
    """The bound in the metric's unit, a share as a part of 1; of a ratio its factor."""
    if objective.factor is not None:
        return objective.factor
    assert objective.bound is not None
    return objective.bound / 1e9 if objective.kind == "share" else objective.bound


def _below(objective: Objective, tail: float) -> SampleSize | None:
    """What it takes to show that the metric is below the bound where everything is."""
    metric, bound, is_ratio = objective.metric, bound_of(objective), objective.factor is not None
    beyond = tail_beyond(metric)
    if beyond is not None:
        return SampleSize(_of_quantile(beyond, is_ratio, tail))
    of_gaps = gap_tail(metric)
    if of_gaps is not None:
        return SampleSize(MIN_STREAMS, gaps=_gaps_of_quantile(of_gaps, is_ratio, tail))
    if is_zero_when_well(metric):
        if is_ratio or bound <= 0:
            return None
        return (
            SampleSize(_of_share(bound, tail)) if metric in SHARES_OF_STREAMS else _of_nothing_seen(metric, bound, tail)
        )
    if metric == "delivered_fraction" and bound <= 0:
        return None
    return SampleSize(_least(metric))


def _above(objective: Objective, tail: float) -> SampleSize | None:
    """What it takes to show that the metric is above the bound where everything is."""
    metric, bound, is_ratio = objective.metric, bound_of(objective), objective.factor is not None
    beyond = tail_beyond(metric)
    if beyond is not None:
        return SampleSize(_of_quantile(1 - beyond, is_ratio, tail))
    of_gaps = gap_tail(metric)
    if of_gaps is not None:
        return SampleSize(MIN_STREAMS, gaps=_gaps_of_quantile(1 - of_gaps, is_ratio, tail))
    if objective.kind == "share" and bound >= 1 and (not is_ratio or metric == "delivered_fraction"):
        return None
    if metric in SHARES_OF_STREAMS and not is_ratio:
        return SampleSize(_of_share(1 - bound, tail))
    if metric == "delivered_fraction":
        return _of_nothing_seen(metric, 1 - bound, tail)
    return SampleSize(_least(metric))


def _of_share(bound: float, tail: float) -> int:
    """With nothing beyond a bound above 0."""
    return 1 if bound >= 1 else intervals.min_samples(bound, tail)


def _of_quantile(beyond: float, is_ratio: bool, tail: float) -> int:
    """With no value beyond the bound. A ratio needs the lower end of one phase and the upper end of the other."""
    return max(intervals.min_samples(each, tail) for each in _sides(beyond, is_ratio))


def _gaps_of_quantile(beyond: float, is_ratio: bool, tail: float) -> int:
    """The same of gaps."""
    return max(math.ceil(intervals.exposure_to_exclude(each, tail)) for each in _sides(beyond, is_ratio))


def _sides(beyond: float, is_ratio: bool) -> tuple[float, ...]:
    return (beyond, 1 - beyond) if is_ratio else (beyond,)


def _of_nothing_seen(metric: str, bound: float, tail: float) -> SampleSize:
    exposure = intervals.exposure_to_exclude(bound, tail)
    if metric == "stalls_per_minute":
        return SampleSize(MIN_STREAMS, exposure)
    return SampleSize(max(MIN_STREAMS, math.ceil(exposure)))


def _least(metric: str) -> int:
    if metric == "recovery_time":
        return RECOVERY_ROW
    return 1 if metric.endswith("_max") else MIN_STREAMS
