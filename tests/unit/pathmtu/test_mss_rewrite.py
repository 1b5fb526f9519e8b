"""Tests the search for the hops between which the MSS of a SYN is rewritten."""

from __future__ import annotations

import pytest

from chaoskit.clock import ManualClock
from chaoskit.pathmtu.mss_rewrite import find_clamp
from chaoskit.pathmtu.probes import SECOND, Clamp, Endpoints, Hop
from chaoskit.pathmtu.simulated_path import SimulatedPath, address
from chaoskit.pathmtu.transport import Budget, Transport

ENDS = Endpoints(4, "192.0.2.100", "198.51.100.7", 443)


def find(wire: SimulatedPath, distance: int) -> tuple[Clamp | None, int]:
    """What is found on paper, and how many packets it took."""
    budget = Budget(1000, 3600 * SECOND)
    found = Transport(wire, wire.clock, budget, lambda burst: None).run(find_clamp(ENDS, distance))
    return found, budget.sent


def path(length: int, clamp: int | None, **words: object) -> SimulatedPath:
    """`length` links, of which router `clamp` rewrites what it forwards."""
    return SimulatedPath(ManualClock(), (1500,) * length, mss=1360, clamp=clamp, **words)  # type: ignore[arg-type]


def hop(index: int) -> Hop:
    """As it is called on paper; 0 is this machine."""
    return Hop(index, address(index) if index else None)


@pytest.mark.parametrize("length", [2, 3, 5, 16, 30])
def test_every_router_that_clamps_is_found(length: int) -> None:
    """The last that gets the SYN as it was sent, and the first that does not; of the last router only the former."""
    for clamp in range(1, length):
        found, packets = find(path(length, clamp), length)

        after = hop(clamp + 1) if clamp + 1 < length else None
        assert found == Clamp(hop(clamp), after, 1360 if after else None)
        assert packets <= 6


def test_a_router_without_a_clamp_is_not_reported() -> None:
    """The SYN is seen as far as the last router as it was sent."""
    assert find(path(6, None), 6)[0] == Clamp(hop(5), None, None)


@pytest.mark.parametrize(
    ("unresponsive", "short_quotes", "before", "after"),
    [
        ({2}, set(), 3, 4),
        ({3}, set(), 2, 4),
        (set(), {3}, 2, 4),
        ({1, 2}, {3}, 0, 4),
        ({4}, {5}, 3, None),
        ({4}, set(), 3, 5),
    ],
)
def test_hops_that_tell_nothing_are_passed_over(
    unresponsive: set[int], short_quotes: set[int], before: int, after: int | None
) -> None:
    """They are silent or quote too little; their neighbours are named."""
    found, _ = find(path(6, 3, unresponsive=frozenset(unresponsive), short_quotes=frozenset(short_quotes)), 6)

    assert found == Clamp(hop(before), None if after is None else hop(after), None if after is None else 1360)


def test_without_long_quotes_nothing_is_found() -> None:
    """Nor on a path without a router."""
    assert find(path(5, 2, short_quotes=frozenset(range(5))), 5)[0] is None
    assert find(path(1, None), 1) == (None, 0)


@pytest.mark.parametrize("guess", [2, 4, 6, 9, 16])
def test_a_wrong_guess_of_the_distance_does_no_harm(guess: int) -> None:
    """A host that answers ends the way; one that is further away leaves the rest unasked."""
    found, _ = find(path(5, 1), guess)

    assert found == Clamp(hop(1), hop(2) if guess > 2 else None, 1360 if guess > 2 else None)


def test_any_three_lost_answers_name_no_wrong_hop() -> None:
    """At most hops are passed over, as mute ones are."""
    for first in range(8):
        for second in range(first + 1, 9):
            for third in range(second + 1, 10):
                lost = {first, second, third}
                found, _ = find(path(9, 4, loses=lambda number, _, lost=lost: number in lost), 9)

                assert found is not None
                assert found.before.index is not None
                assert found.before.index <= 4
                assert found.after is None or found.after.index is None or found.after.index > 4
