"""Sums a run up in one sentence: one effect of one phase and whose it is, or that there is none.

Rule: everything in the sentence is of the same phase; what could be chance is not told as an effect (`effects`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import PhaseResult, Result
from chaoskit.report.effects import effects, largest_by_chance
from chaoskit.report.shares import named, stall_times


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
    shares = named(stall_times(phase.stall_attribution for phase in phases))
    if shares:
        (name, share), *others = shares
        yield ", ".join((f"{share} of the stall time is {name}", *(f"{share} {name}" for name, share in others)))
