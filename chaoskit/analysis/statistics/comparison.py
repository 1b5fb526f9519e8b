"""Compares each phase with the reference phase: differences and ratios with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from chaoskit.analysis.result import Comparison
from chaoskit.analysis.statistics import mover
from chaoskit.analysis.statistics.estimates import Estimates, scale, unit
from chaoskit.analysis.statistics.estimators import Estimate
from chaoskit.analysis.streams.phase_samples import WHOLE_RUN, PhaseSamples
from chaoskit.analysis.summaries import IntervalEstimate
from chaoskit.spec.metrics import HEADLINES, METRICS

COMPARED = (*HEADLINES, "e2el_p50")


def compare(samples: Mapping[str, PhaseSamples], reference: str, estimates: Estimates) -> Iterator[Comparison]:
    """Every compared metric of every phase but the reference itself; nothing without a reference."""
    if reference not in samples:
        return
    for sample in samples.values():
        if sample.name in (WHOLE_RUN, reference):
            continue
        for metric in COMPARED:
            value, base = estimates.of(sample, metric), estimates.of(samples[reference], metric)
            yield Comparison(
                phase=sample.name,
                metric=metric,
                unit=unit(metric),
                value=value.scaled(scale(metric)).value,
                reference=base.scaled(scale(metric)).value,
                difference=difference(value, base, metric),
                ratio=ratio(value, base, metric),
            )


def difference(value: Estimate, reference: Estimate, metric: str) -> IntervalEstimate:
    """value - reference, in the unit of the result. Its interval is open where that of either excludes nothing."""
    one, other = value.bounded, reference.bounded
    if one is None or other is None:
        return IntervalEstimate(value=None, missing=value.missing or reference.missing)
    if math.isinf(other.value):
        return IntervalEstimate(value=None, missing="the reference is never reached")
    factor = scale(metric)
    low, high = mover.difference_interval(one, other)
    if _excludes_nothing(one, metric) or _excludes_nothing(other, metric):
        low, high = -math.inf, math.inf
    return IntervalEstimate(value=(one.value - other.value) * factor, low=low * factor, high=high * factor)


def ratio(value: Estimate, reference: Estimate, metric: str) -> IntervalEstimate:
    """value / reference. Its interval is open where that of either excludes nothing."""
    one, other = value.bounded, reference.bounded
    if one is None or other is None:
        return IntervalEstimate(value=None, missing=value.missing or reference.missing)
    if math.isinf(other.value):
        return IntervalEstimate(value=None, missing="the reference is never reached")
    if other.value == 0:
        return IntervalEstimate(value=None, missing="the reference is 0")
    low, high = mover.ratio_interval(one, other)
    if _excludes_nothing(one, metric) or _excludes_nothing(other, metric):
        low, high = 0.0, math.inf
    return IntervalEstimate(value=one.value / other.value, low=low, high=high)


def _excludes_nothing(bounded: mover.Bounded, metric: str) -> bool:
    """Whether its interval is all that the metric can be, so that nothing is known of a change."""
    most = 1.0 if METRICS[metric].kind == "share" else math.inf
    return bounded.low <= 0 and bounded.high >= most
