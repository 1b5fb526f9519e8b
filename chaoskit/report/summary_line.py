"""Sums a run up in one sentence: one effect of one phase and whose it is, or that there is none.

Rule: everything in the sentence is of the same phase; what could be chance is not told as an effect (`effects`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import NetworkKind, PhaseResult, Result
from chaoskit.report.effects import effects, largest_by_chance

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
    """It; "" where the run has nothing to tell of first tokens or stalls."""
    parts = [*_parts(result)]
    return f"{'; '.join(parts)}." if parts else ""


def _parts(result: Result) -> Iterator[str]:
    found = effects(result)
    if found:
        yield found[0].told
        yield from found[0].causes()
    elif result.comparisons:
        yield from _nothing(result)
    elif len(result.phases) == 1:
        p95 = result.phases[0].metrics.ttft.p95_ms
        yield from [f"p95 first token {format_value(p95, 'ms')}"] if p95 is not None else []
        yield from stall_shares(result.phases)


def _nothing(result: Result) -> Iterator[str]:
    """That nothing is beyond chance, and the change of first tokens that may be some."""
    names = [phase.name for phase in result.phases if phase.faults]
    where = f"under {' and '.join(names)}" if names else f"against {result.reference}"
    yield f"nothing became worse beyond chance {where}"
    if (change := largest_by_chance(result)) is not None:
        yield f"{change.told} could be chance"


def stall_shares(phases: Sequence[PhaseResult]) -> Iterator[str]:
    """Shares of the stall time of these phases, the largest first; the network's by what it did."""
    times: dict[str, float] = {}
    for phase in phases:
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
