"""Each phase beside the reference phase: how much worse, and could that be chance?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from chaoskit.analysis.result import Comparison, Estimated
from chaoskit.analysis.statistics import bootstrap
from chaoskit.analysis.statistics.estimates import Estimate, Estimates, scale, unit
from chaoskit.analysis.streams.phase_samples import WHOLE, PhaseSamples

COMPARED = (
    "ttft_p50",
    "ttft_p95",
    "ttft_p99",
    "itl_p50",
    "itl_p99",
    "e2el_p50",
    "stalls_per_minute",
    "stall_ratio",
    "interruption_rate",
    "goodput",
)


def compare(parts: Mapping[str, PhaseSamples], reference: str, estimates: Estimates) -> Iterator[Comparison]:
    """Every compared metric of every phase but the reference itself; nothing without a reference."""
    if reference not in parts:
        return
    for part in parts.values():
        if part.name in (WHOLE, reference):
            continue
        for metric in COMPARED:
            value, base = estimates.of(part, metric), estimates.of(parts[reference], metric)
            yield Comparison(
                phase=part.name,
                metric=metric,
                unit=unit(metric),
                value=value.scaled(scale(metric)).value,
                reference=base.scaled(scale(metric)).value,
                difference=difference(value, base, scale(metric)),
                ratio=ratio(value, base),
            )


def difference(value: Estimate, base: Estimate, factor: float) -> Estimated:
    """value - base, times `factor`."""
    if value.value is None or base.value is None or value.draws is None or base.draws is None:
        return Estimated(value=None, missing=value.missing or base.missing)
    if math.isinf(base.value):
        return Estimated(value=None, missing="the reference is never")
    low, high = bootstrap.difference(value.draws, base.draws)
    return Estimated(value=(value.value - base.value) * factor, low=low * factor, high=high * factor)


def ratio(value: Estimate, base: Estimate) -> Estimated:
    """value / base."""
    if value.value is None or base.value is None or value.draws is None or base.draws is None:
        return Estimated(value=None, missing=value.missing or base.missing)
    if math.isinf(base.value):
        return Estimated(value=None, missing="the reference is never")
    if base.value == 0:
        return Estimated(value=None, missing="the reference is 0")
    low, high = bootstrap.ratio(value.draws, base.draws)
    return Estimated(value=value.value / base.value, low=low, high=high)
