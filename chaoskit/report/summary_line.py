"""Sums a run up in one line: how late first tokens became, and whose the stalls were."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.analysis.formatting import ANYTHING, format_interval, format_level, format_value
from chaoskit.analysis.result import Comparison, Result
from chaoskit.report.shares import named, stall_times

_METRIC = "ttft_p95"


def summary_line(result: Result) -> str:
    """It; "" where the run has neither first tokens nor stalls."""
    parts = [*_first_tokens(result), *_stalls(result)]
    return f"{'; '.join(parts)}." if parts else ""


def _first_tokens(result: Result) -> Iterator[str]:
    """Of the phase in which they became latest; of a run of one phase without a comparison."""
    known = [each for each in result.comparisons if each.metric == _METRIC and each.ratio.value is not None]
    if known:
        yield _compared(max(known, key=lambda each: each.ratio.value or 0.0), result.level)
    elif len(result.phases) == 1 and (p95 := result.phases[0].metrics.ttft.p95_ms) is not None:
        yield f"p95 first token {format_value(p95, 'ms')}"


def _compared(worst: Comparison, level: float) -> str:
    before, after = format_value(worst.reference, worst.unit), format_value(worst.value, worst.unit)
    interval = format_interval(worst.ratio.low, worst.ratio.high, "ratio")
    sure = f"{format_level((1 - level) / 2)}: {interval if interval != ANYTHING else 'too few streams'}"
    return (
        f"p95 first token {before} → {after} under {worst.phase} ({format_value(worst.ratio.value, 'ratio')}, {sure})"
    )


def _stalls(result: Result) -> Iterator[str]:
    """Shares of the stall time."""
    shares = named(stall_times(phase.stall_attribution for phase in result.phases))
    if shares:
        (name, share), *others = shares
        yield ", ".join((f"{share} of the stall time is {name}", *(f"{share} {name}" for name, share in others)))
