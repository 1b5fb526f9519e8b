"""Tolerances of Chaos Toolkit, for what `probes.probe` and `actions.run_experiment` return."""

from typing import Any

from chaoslib.exceptions import ActivityFailed

from chaoskit.units import Duration

__all__ = ["is_below", "is_met"]

_MS = 10**6


def is_met(value: dict[str, Any] | None = None, may_be_undecided: bool = False) -> bool:
    """Whether no objective is broken and, unless it may be, none is undecided."""
    accepted = {"met", "none", *(("undecided",) if may_be_undecided else ())}
    return value is not None and value["verdict"] in accepted


def is_below(metric: str, bound: str, value: dict[str, Any] | None = None) -> bool:
    """
    Whether a latency as measured, without its interval, is below a bound: metric "ttft_p95", bound "800ms".

    A latency that was never reached is above every bound.
    """
    name, _, quantile = metric.rpartition("_")
    latencies = (value or {}).get(name)
    if not isinstance(latencies, dict) or f"{quantile}_ms" not in latencies:
        known = [f"{each}_p95" for each, found in (value or {}).items() if isinstance(found, dict)]
        raise ActivityFailed(f"{metric!r} is no latency of this probe; there are {', '.join(known) or 'none'}")
    try:
        limit = Duration.parse(bound)
    except ValueError as error:
        raise ActivityFailed(f"bound: {error}") from None
    found = latencies[f"{quantile}_ms"]
    return found is not None and found < limit / _MS
