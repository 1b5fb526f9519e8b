"""Judges one metric of two sides: regressed, improved, changed, no worse, undecided, not shown.

| verdict     | when                                                                                              |
|-------------|---------------------------------------------------------------------------------------------------|
| `regressed` | the interval of the change lies wholly beyond the margin, or beyond no change without one          |
| `improved`  | it lies wholly on the better side of no change                                                    |
| `changed`   | the same of a metric whose better side is no improvement by itself (`Metric.why_no_gain`)         |
| `no-worse`  | with a margin: it lies wholly on the better side of the margin (non-inferiority)                    |
| `undecided` | none of them, though a tolerance asks for one; or the streams, or a fault, do not allow any        |
| `not-shown` | none of them, and no tolerance asks; or the records of both sides are the same                     |

`regressed`, `improved` and `changed` are by intervals that hold for all comparisons together (`family`). `no-worse` is
by an interval of its own level: that all are no worse is claimed only when each is, which no number of comparisons
makes easier (Berger, Technometrics 24 (1982)).

A comparison whose streams are too few for any interval of a change takes no part in the family: it could not be shown
at any level, so that it costs the others nothing (Tarone, Biometrics 46 (1990)). It says how many streams it needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from chaoskit.analysis.formatting import about
from chaoskit.analysis.objectives import Claim, streams_by_spread
from chaoskit.analysis.result import Unit
from chaoskit.analysis.run_comparison.result import ChangeVerdict, MetricChange
from chaoskit.analysis.run_comparison.sides import Key, Side
from chaoskit.analysis.statistics.comparison import difference, ratio
from chaoskit.analysis.statistics.estimates import scale, unit
from chaoskit.analysis.statistics.estimators import Estimate
from chaoskit.analysis.summaries import IntervalEstimate
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.objectives import Objective
from chaoskit.spec.sample_size import is_zero_when_well, sample_sizes, tail_beyond
from chaoskit.spec.tolerances import Margin

LEAST_MS = 0.1
"""A change of a latency by less is none: clocks and timers of two runs differ by as much."""

UNCHANGED = "nothing changed: every record is the same"


@dataclass(frozen=True)
class Worsening:
    """How much worse the candidate is: at `least`, and at the `most`, by an interval; and how much is tolerated.

    All three are differences in the unit of the result, or ratios; more is worse. `observed` is the change itself.
    """

    observed: IntervalEstimate
    least: float
    most: float
    limit: float
    unit: Unit


@dataclass(frozen=True, eq=False)
class Pair:
    """What is compared with what. `why_not`: why it cannot decide anything; "" where it can.

    `is_named` by an objective or a tolerance; `must_hold`: a tolerance asks that it is no worse; `is_same`: both sides
    have the same records, and no interval says more than that.
    """

    variant: str
    reference: Side
    candidate: Side
    key: Key
    margin: Margin | None
    is_named: bool
    must_hold: bool
    why_not: str = ""
    is_same: bool = False

    @property
    def tail(self) -> float:
        """Of an interval of its own."""
        return min(self.reference.tail, self.candidate.tail)

    @property
    def has_values(self) -> bool:
        """Whether there is anything to show."""
        return any(each.value is not None for each in self._both(self.tail))

    @property
    def can_differ(self) -> bool:
        """Whether it takes part in the family: both sides have a value with an interval."""
        return not (self.why_not or self._why_no_interval or self._streams_of_any)

    def differs(self, part: float) -> bool:
        """Whether it regressed or improved by an interval with this part of the usual tail."""
        return self._shown(self.tail * part) != "not-shown"

    def judged(self, part: float) -> MetricChange:
        """The verdict, with the interval that it rests on: one with this part of the usual tail, or of its own."""
        if reason := self.why_not or self._why_no_interval:
            is_open = bool(self.why_not) or (self.is_named and self._is_missing)
            return self._change(self.tail, "undecided" if is_open else "not-shown", reason)
        if too_few := self._streams_of_any:
            is_open = self.is_named or self.must_hold
            return self._change(self.tail, "undecided" if is_open else "not-shown", _too_few(too_few), too_few)
        shown, own = self._shown(self.tail * part), self._worsening(self.tail)
        why_no_gain = METRICS[self.key.metric].why_no_gain if shown == "improved" else ""
        if shown != "not-shown" and not why_no_gain:
            return self._change(self.tail * part, shown)
        if self.margin is not None and own.most < own.limit:
            return self._change(self.tail, "no-worse")
        if why_no_gain:
            return self._change(self.tail * part, "changed", f"no improvement by itself: {why_no_gain}")
        if self.is_same:
            return self._change(self.tail * part, "not-shown", UNCHANGED)
        if self.margin is not None and self.must_hold:
            needed = self._streams_needed(own, self.tail)
            return self._change(
                self.tail, "undecided", _advice(f"{self.margin.text} worse is not excluded", needed), needed
            )
        joint = self._worsening(self.tail * part)
        if math.isinf(joint.least) and (self.is_named or math.isinf(joint.most)):
            needed = self._streams_needed(joint, self.tail * part)
            return self._change(
                self.tail * part, "undecided" if self.is_named else "not-shown", _too_few(needed), needed
            )
        return self._change(self.tail * part, "not-shown")

    def _change(self, tail: float, verdict: ChangeVerdict, reason: str = "", needed: int | None = None) -> MetricChange:
        base, value = self._both(tail)
        metric = self.key.metric
        return MetricChange(
            variant=self.variant,
            workload=self.key.workload,
            population=self.key.population.name,
            phase=self.key.phase,
            metric=metric,
            unit=unit(metric),
            reference=base.scaled(scale(metric)).value,
            value=value.scaled(scale(metric)).value,
            difference=difference(value, base, metric),
            ratio=ratio(value, base, metric),
            level=1 - 2 * tail,
            margin=self.margin.text if self.margin else "",
            is_named=self.is_named,
            verdict=verdict,
            reason=reason,
            streams=value.streams,
            streams_reference=base.streams,
            streams_needed=needed,
        )

    def _both(self, tail: float) -> tuple[Estimate, Estimate]:
        return self.reference.estimate(self.key, tail), self.candidate.estimate(self.key, tail)

    @property
    def _is_missing(self) -> bool:
        return any(each.value is None for each in self._both(self.tail))

    @property
    def _why_no_interval(self) -> str:
        """Why there is no interval of a change; "" where there is."""
        base, value = self._both(self.tail)
        if base.value is None or value.value is None:
            where = self.reference if base.value is None else self.candidate
            return f"in {where.runs[0].name}: {base.missing or value.missing}"
        if is_of_one_run(self.key.metric) or math.isinf(base.low) or math.isinf(value.low):
            return "it describes one run alone, and has no interval"
        return "the reference is never reached" if math.isinf(base.value) else ""

    def _worsening(self, tail: float) -> Worsening:
        """By the ratio for a share of the reference, else by the difference."""
        base, value = self._both(tail)
        metric, margin = self.key.metric, self.margin
        sign = -1 if METRICS[metric].more_is_better else 1
        factor = ratio(value, base, metric)
        if margin is not None and margin.share and factor.value is not None:
            return _worsening(factor, sign, sign + margin.share, "ratio")
        change = difference(value, base, metric)
        least = LEAST_MS if unit(metric) == "ms" else 0.0
        limit = max(least, margin.amount * scale(metric)) if margin else least
        return _worsening(change, sign, limit, unit(metric))

    def _shown(self, tail: float) -> ChangeVerdict:
        own = self._worsening(tail)
        if own.least > own.limit:
            return "regressed"
        base, value = self._both(tail)
        least = LEAST_MS if unit(self.key.metric) == "ms" else 0.0
        sign = -1 if METRICS[self.key.metric].more_is_better else 1
        better = _worsening(difference(value, base, self.key.metric), sign, -least, unit(self.key.metric))
        return "improved" if better.most < better.limit else "not-shown"

    @property
    def _streams_of_any(self) -> int:
        """How many streams a side needs before the interval of a change can have an end; 0 where one has as many."""
        if tail_beyond(self.key.metric) is None:
            return 0
        least = self._least(self.tail)
        return least if max(each.streams for each in self._both(self.tail)) < least else 0

    def _least(self, tail: float) -> int:
        """How many streams of each side its interval takes at the least."""
        asked = Objective(text="", metric=self.key.metric, operator="<", factor=1.0, reference="reference")
        size = sample_sizes(asked, tail).to_be_decided
        return 0 if size is None else size.streams

    def _streams_needed(self, own: Worsening, tail: float) -> int | None:
        """How many streams of each side would decide it, if they behaved as these did."""
        metric = self.key.metric
        sign = -1 if METRICS[metric].more_is_better else 1
        both = self._both(tail)
        streams = min(each.streams for each in both)
        gaps = min(len(side.sample(self.key).gaps) for side in (self.reference, self.candidate))
        needed = streams_by_spread(Claim(own.observed, sign * own.limit, own.unit, streams, None, tail, gaps=gaps))
        least = 0
        if not is_zero_when_well(metric):
            asked = Objective(text=metric, metric=metric, operator="<", factor=1.0, reference="reference")
            size = sample_sizes(asked, tail).to_be_decided
            least = 0 if size is None else size.streams
            if size is not None and size.gaps and gaps:
                least = max(least, math.ceil(streams * size.gaps / gaps))
        if streams < least:
            return least
        return None if needed is None else max(needed, streams + 1)


def _too_few(needed: int | None) -> str:
    return _advice("too few streams to show any change", needed)


def is_of_one_run(metric: str) -> bool:
    """Whether it describes what one run met, without saying how the next one would be."""
    return metric.endswith("_max") or metric == "recovery_time"


def _worsening(observed: IntervalEstimate, sign: int, limit: float, unit: Unit) -> Worsening:
    low, high = observed.low, observed.high
    assert low is not None
    assert high is not None
    least, most = (low, high) if sign > 0 else (-high, -low)
    return Worsening(observed, least, most, limit, unit)


def _advice(reason: str, needed: int | None) -> str:
    if needed is None:
        return f"{reason}; no feasible number of streams would decide"
    return f"{reason}; {about(needed, 'stream')} on each side would decide"
