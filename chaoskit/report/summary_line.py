"""Sums a run up in one line: how late first tokens became, and whose the stalls were."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.analysis.formatting import ANYTHING, format_interval, format_level, format_value
from chaoskit.analysis.result import Comparison, NetworkKind, Result

_METRIC = "ttft_p95"
_LEAST = 0.005  # share of the time that is named
_KINDS: dict[NetworkKind, str] = {
    "loss": "loss recovery on the way down",
    "reorder": "reordering on the way down",
    "delay": "a path that became longer",
    "queueing": "queues on the way",
    "rate": "a link at its limit",
    "black-hole": "a black hole",
}


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
    """Shares of the stall time, the largest first; the network's by what it did."""
    times: dict[str, float] = {}
    for phase in result.phases:
        found = phase.stall_attribution
        for kind, time in found.network_kinds.items():
            _add(times, _KINDS[kind], time)
        _add(times, "the network", found.network_ms - sum(found.network_kinds.values()))
        _add(times, "the server", found.server_ms)
        _add(times, "held back in between", found.between_ms)
        _add(times, "this client", found.client_ms)
        _add(times, "unknown", found.unknown_ms)
    total = sum(times.values())
    shares = (
        [
            (name, format_value(time / total, "share"))
            for name, time in sorted(times.items(), key=lambda item: -item[1])
            if time >= _LEAST * total
        ]
        if total
        else []
    )
    if shares:
        (name, share), *others = shares
        yield ", ".join((f"{share} of the stall time is {name}", *(f"{share} {name}" for name, share in others)))


def _add(times: dict[str, float], name: str, time: float) -> None:
    if time > 0:
        times[name] = times.get(name, 0.0) + time
