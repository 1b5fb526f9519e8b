"""Draws the order of a round's phases, so that what drifts during a run is not an effect of a fault.

Rounds come in pairs, a drawn order and its reverse: what grows steadily adds the same to every phase of the pair. The
warm-up stays at the beginning of its round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, TypeVar

from chaoskit.seed import source

Order = Literal["as-written", "interleaved"]
_WARM_UP = "warm-up"


class _Stretch(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def length(self) -> int: ...


Phase = TypeVar("Phase", bound=_Stretch)


def in_order(phases: Sequence[Phase], order: Order, number: int, seed: int) -> tuple[Phase, ...]:
    """The phases in the order of this round, from 0 on; which order they have here plays no part in what is drawn."""
    if order == "as-written":
        return tuple(phases)
    first = next((at for at, phase in enumerate(phases) if phase.name != _WARM_UP), len(phases))
    drawn = sorted(phases[first:], key=lambda phase: (phase.name, phase.length))
    source(seed, "order", number // 2).shuffle(drawn)
    return (*phases[:first], *(drawn[::-1] if number % 2 else drawn))


def order_mismatch(
    names: Sequence[str], repeats: int, for_good: Iterable[str], recoveries: Iterable[str]
) -> str | None:
    """Why phases of these names cannot be interleaved; None where they can.

    `for_good` are the faults that stay until the round ends, `recoveries` the objectives that ask what follows a phase.
    """
    if repeats < 2:
        return "interleaved draws an order for each round, and there is one; write repeats: 8"
    if len(set(names) - {_WARM_UP}) < 2:
        return "interleaved needs two phases to compare; write for example - baseline: 30s"
    if "recovery" in names:
        return "interleaved has nothing before or after; call the phase recovery baseline, or remove order"
    for fault in for_good:
        return f"the fault {fault} stays until its round ends, so that phases would depend on the order; remove order"
    for objective in recoveries:
        return f"{objective} asks what follows a phase, which an order that is drawn leaves open; remove one of them"
    return None
