"""Tests the search for the last hop that large packets reach, and the first that only small ones do."""

from __future__ import annotations

import pytest

from chaoskit.clock import ManualClock
from chaoskit.pathmtu.hops import HopSearch, locate_router
from chaoskit.pathmtu.probes import SECOND, DropPoint, Expired, Hop, NoReply, Pause, Probe, Reply, TooBig
from chaoskit.pathmtu.simulated_path import SimulatedPath, address
from chaoskit.pathmtu.transport import Budget, Transport

LARGE = 1401


def hop_search(wire: SimulatedPath, distance: int) -> tuple[DropPoint | TooBig | Reply | None, int]:
    """What a hunt finds on paper, and how many packets it took."""
    budget = Budget(1000, 3600 * SECOND)
    found = Transport(wire, wire.clock, budget, lambda burst: None).run(HopSearch(LARGE, "echo", distance).search())
    return found, budget.sent


def path(length: int, drop_point: int, *unresponsive: int, **words: object) -> SimulatedPath:
    """`length` links, of which the one after router `drop_point` is narrow; it says nothing of it."""
    mtus = tuple(1400 if link == drop_point else 1500 for link in range(length))
    silent, mutes = frozenset({drop_point}), frozenset(unresponsive)
    return SimulatedPath(ManualClock(), mtus, silent, mutes, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [1, 2, 5, 16, 30])
def test_every_hop_of_a_path_is_found(length: int) -> None:
    """Whichever link is narrow, both its ends are named; our own is the first."""
    for drop_point in range(length):
        found, packets = hop_search(path(length, drop_point), length)

        reached = Hop(drop_point, address(drop_point) if drop_point else None)
        beyond = Hop(drop_point + 1, address(drop_point + 1) if drop_point + 1 < length else None)
        assert found == DropPoint(reached, beyond)
        assert packets <= 20


@pytest.mark.parametrize("guess", [2, 3, 4, 5, 6, 9, 16])
def test_a_wrong_guess_of_the_distance_does_no_harm(guess: int) -> None:
    """The way there may be longer or shorter than the way back tells."""
    found, _ = hop_search(path(5, 3), guess)

    assert found == DropPoint(Hop(3, address(3)), Hop(4, address(4)))


@pytest.mark.parametrize(
    ("unresponsive", "reached", "beyond"), [((2,), 3, 4), ((3,), 2, 4), ((4,), 3, 5), ((3, 4), 2, 5)]
)
def test_hops_that_never_answer_are_passed_over(unresponsive: tuple[int, ...], reached: int, beyond: int) -> None:
    """What is named is the nearest that answers on either side."""
    found, _ = hop_search(path(5, 3, *unresponsive), 5)

    assert found == DropPoint(Hop(reached, address(reached)), Hop(beyond, address(beyond) if beyond < 5 else None))


def test_an_answer_that_is_lost_once_names_no_wrong_hop() -> None:
    """A hop that answers small probes and not the large one is asked once more."""
    for lost in range(1, 8):  # the first asks for the host itself
        found, _ = hop_search(
            path(5, 3, loses=lambda number, probe, lost=lost: number == lost and probe.size == LARGE), 5
        )

        assert found == DropPoint(Hop(3, address(3)), Hop(4, address(4)))


def test_two_answers_that_are_lost_name_no_wrong_hop() -> None:
    """Any two, on a path of five links and on one of twelve; at most the next hop is passed over, as a mute one is."""
    for length, drop_point in ((5, 3), (5, 0), (12, 7)):
        _, packets = hop_search(path(length, drop_point), length)
        for first in range(packets):
            for second in range(first + 1, packets + 6):
                lost = {first, second}
                found, _ = hop_search(
                    path(length, drop_point, loses=lambda number, _, lost=lost: number in lost), length
                )

                assert isinstance(found, DropPoint)
                assert found.reached.index == drop_point, lost
                assert found.beyond.index is not None
                assert found.beyond.index > drop_point, lost


def test_a_router_that_speaks_up_after_all_ends_the_hunt() -> None:
    """Its word is what the hunt brings back."""
    wire = SimulatedPath(ManualClock(), (1500, 1500, 1400, 1500, 1500))

    found, _ = hop_search(wire, 5)

    assert found == TooBig(address(2), 1400, 2)


def test_a_host_that_answers_after_all_ends_the_hunt() -> None:
    """The path is wide again, and no hop is reported."""
    found, _ = hop_search(SimulatedPath(ManualClock(), (1500, 1500, 1500)), 4)

    assert found is None


def test_a_hop_is_asked_again_only_after_a_pause() -> None:
    """Routers limit their answers: the second large probe waits."""
    search = HopSearch(LARGE, "echo", 3).search()

    asked = [next(search), search.send((Reply(62),)), search.send((NoReply(),))]
    waits, again = search.send((Expired(address(2)),)), search.send(())

    assert asked == [(Probe("echo", 100, 3),), (Probe("echo", LARGE, 2),), (Probe("echo", 100, 2),)]
    assert isinstance(waits, Pause)
    assert again == (Probe("echo", LARGE, 2),)


@pytest.mark.parametrize(
    ("router", "index", "found"),
    [(2, 2, 2), (2, 3, 2), (2, None, 2), (2, 4, None), (2, 1, None), (4, 4, 4), (4, 5, 4), (4, None, 4), (1, 1, 1)],
)
def test_who_speaks_up_is_as_far_away_as_a_small_probe_says(router: int, index: int | None, found: int | None) -> None:
    """The TTL that he quotes is believed when a probe that ends there is answered by him, and not otherwise."""
    wire = SimulatedPath(ManualClock(), (1500,) * 5)
    line = Transport(wire, wire.clock, Budget(100, 3600 * SECOND), lambda burst: None)

    hop = line.run(locate_router(TooBig(address(router), 1400, index), "echo", 5))

    assert hop == Hop(found, address(router))
