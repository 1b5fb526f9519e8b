"""Defines how a result states latencies, and numbers that were estimated."""

from __future__ import annotations

from chaoskit.analysis.finite_json import FiniteJson


class LatencySummary(FiniteJson):
    """Latencies summarized. Quantiles by nearest rank; too few values for those in `reported_as_max`: the maximum."""

    count: int
    never: int = 0
    p50_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    mean_ms: float | None = None
    reported_as_max: tuple[str, ...] = ()
    missing: str = ""


class IntervalEstimate(FiniteJson):
    """A number with its 95 % interval, or why there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    missing: str = ""
