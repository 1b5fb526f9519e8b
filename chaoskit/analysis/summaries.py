"""Defines how a result states latencies, and numbers that were estimated."""

from __future__ import annotations

from pydantic import Field

from chaoskit.analysis.finite_json import FiniteJson
from chaoskit.analysis.formatting import format_value


class LatencySummary(FiniteJson):
    """Latencies summarized. Quantiles by nearest rank; too few values for those in `reported_as_max`: the maximum.

    Of those in `at_least` it is known that they are longer than that.
    """

    count: int
    never: int = 0
    cut: int = 0
    p50_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    mean_ms: float | None = None
    at_least: dict[str, float] = Field(default={})
    reported_as_max: tuple[str, ...] = ()
    missing: str = ""

    def why_infinite(self, name: str, value: float) -> str:
        """With what is known of it: `never reached within 30 s by 12 of 200`."""
        at_least = self.at_least.get(name)
        within = "" if at_least is None else f" within {format_value(at_least, 'ms')}"
        return f"{super().why_infinite(name, value)}{within} by {self.never} of {self.count}"


class IntervalEstimate(FiniteJson):
    """A number with its 95 % interval, or why there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    missing: str = ""
