"""Tests the size search: every MTU is found, signalled or not, in spite of random loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.clock import ManualClock
from chaoskit.pathmtu.probes import SECOND, SMALL, Method, Probe
from chaoskit.pathmtu.simulated_path import SimulatedPath
from chaoskit.pathmtu.size_search import PLATEAUS, SizeSearch, hops, next_size
from chaoskit.pathmtu.transport import Budget, Transport
from chaoskit.seed import source

ENOUGH = 40  # packets; of the 120 by default, so that a body, a hunt and a second search fit beside it
HOUR = 3600 * SECOND


def search(wire: SimulatedPath, packets: int = ENOUGH) -> tuple[SizeSearch, Budget]:
    """Greet and measure over a path on paper."""
    budget = Budget(packets, HOUR)
    found = SizeSearch(wire.methods, wire.mtus[0])
    line = Transport(wire, wire.clock, budget, lambda burst: None)
    line.run(found.find_responders())
    line.run(found.measure())
    return found, budget


def silent_path(mtu: int, link_mtu: int, **words: object) -> SimulatedPath:
    """Four routers, of which the second is narrow and says nothing."""
    return SimulatedPath(ManualClock(), (link_mtu, link_mtu, mtu, link_mtu, link_mtu), frozenset({2}), **words)  # type: ignore[arg-type]


@pytest.mark.parametrize("link_mtu", [1500, 9000])
def test_every_mtu_that_is_kept_silent_is_found(link_mtu: int) -> None:
    """From 576 up to the link's own, to the byte, within the budget."""
    wrong = {}

    for mtu in range(576, link_mtu):
        found, budget = search(silent_path(mtu, link_mtu))
        if (found.passes, found.ceiling, found.is_exact, found.signal) != (mtu, mtu + 1, True, None):
            wrong[mtu] = (found.passes, found.ceiling, budget.sent)

    assert not wrong


@pytest.mark.parametrize("link_mtu", [1500, 9000])
def test_every_signalled_mtu_takes_eight_packets(link_mtu: int) -> None:
    """Three small ones and a reset, the link's own size, the reported MTU: any size, and no more."""
    wrong = {}

    for mtu in range(576, link_mtu):
        found, budget = search(SimulatedPath(ManualClock(), (link_mtu, link_mtu, mtu, link_mtu)))
        if (found.passes, found.is_exact) != (mtu, True) or found.signal is None or budget.sent > 8:
            wrong[mtu] = (found.passes, budget.sent)

    assert not wrong


def test_a_wide_open_path_takes_five_packets() -> None:
    """Who answers, a reset, and one large probe."""
    found, budget = search(SimulatedPath(ManualClock(), (1500,) * 5))

    assert (found.passes, found.ceiling, found.is_exact) == (1500, None, True)
    assert budget.sent == 5


@pytest.mark.parametrize("mtu", PLATEAUS[:-1])
def test_a_likely_size_takes_few_packets(mtu: int) -> None:
    """What tunnels and PPPoE leave is found in half of what the unlikeliest takes."""
    found, budget = search(silent_path(mtu, 1500))

    assert found.passes == mtu
    assert budget.sent <= 20


def test_a_black_hole_takes_seconds() -> None:
    """No size takes longer than ten seconds on a path of 20 ms."""
    slow = {}

    for mtu in range(576, 9000, 7):
        wire = silent_path(mtu, 9000)
        search(wire)
        if wire.clock.now() > 10 * SECOND:
            slow[mtu] = wire.clock.now() / SECOND

    assert not slow


@settings(max_examples=200, deadline=None)
@given(
    mtu=st.integers(576, 1500),
    is_silent=st.booleans(),
    lost=st.sets(st.integers(0, 100), max_size=5),
)
def test_five_lost_answers_leave_the_size_exact(mtu: int, is_silent: bool, lost: set[int]) -> None:
    """Whichever five answers are lost, of whatever path, it is measured to the byte."""
    wire = SimulatedPath(
        ManualClock(), (1500, mtu, 1500), frozenset({1} if is_silent else ()), loses=lambda number, _: number in lost
    )

    found, _ = search(wire, packets=1000)

    assert (found.passes, found.is_exact) == (mtu, True)


@pytest.mark.parametrize("mtu", [918, 1400, 1500])
def test_any_two_lost_answers_leave_it_exact_by_one_way(mtu: int) -> None:
    """Every pair of answers of a host that answers pings alone."""
    _, budget = search(silent_path(mtu, 1500, methods=("echo",)))

    for first in range(budget.sent):
        for second in range(first + 1, 2 * budget.sent):
            wire = silent_path(
                mtu, 1500, methods=("echo",), loses=lambda number, _, lost={first, second}: number in lost
            )
            found, _ = search(wire, packets=1000)

            assert (found.passes, found.is_exact, found.is_one_way) == (mtu, True, False)


@pytest.mark.parametrize("mtu", [918, 1400])
@pytest.mark.parametrize("step", [1, 2])
def test_five_lost_in_a_row_leave_it_exact(mtu: int, step: int) -> None:
    """Wherever the row begins, be it of all probes or of every other one, as the small ones of a confirmation are."""
    for first in range(60):
        row = range(first, first + 5 * step, step)
        found, _ = search(silent_path(mtu, 1500, loses=lambda number, _, row=row: number in row), packets=1000)

        assert (found.passes, found.is_exact) == (mtu, True), first


@pytest.mark.parametrize("methods", [("echo", "udp", "tcp"), ("echo",), ("tcp",), ("udp",)])
@pytest.mark.parametrize(("how_many", "passes"), [(5, 1500), (6, 1499)])
def test_six_lost_answers_deceive(how_many: int, passes: int, methods: tuple[Method, ...]) -> None:
    """All of one size: the first, three at once, and two spaced out. Five of them do not."""
    left = [None] * how_many
    wire = silent_path(
        1500, 1500, methods=methods, loses=lambda _, probe: probe.size == 1500 and bool(left and not left.pop())
    )

    found, _ = search(wire, packets=200)

    assert (found.passes, found.is_exact) == (passes, True)


def test_three_lost_answers_fit_in_the_packets_that_there_are() -> None:
    """Of 120, a body of 20 goes out beside them."""
    for seed in range(150):
        chance = source(seed, "three")
        mtu, first = chance.choice(range(576, 1501)), chance.choice(range(40))
        lost = {first + chance.choice(range(12)) for _ in range(3)}
        found, budget = search(silent_path(mtu, 1500, loses=lambda number, _, lost=lost: number in lost), packets=100)

        assert (found.passes, found.is_exact) == (mtu, True), budget.cause


def test_losing_every_fifth_packet_does_not_change_the_result() -> None:
    """Of five hundred such paths each is measured right, or not at all."""
    wrong = []

    for seed in range(500):
        chance = source(seed, "loss")
        mtu = chance.choice(range(576, 1501))
        found, _ = search(silent_path(mtu, 1500, loses=at_random(seed)), packets=1000)
        if found.is_exact and found.passes != mtu:
            wrong.append((seed, mtu, found.passes))

    assert not wrong


def at_random(seed: int) -> Callable[[int, Probe], bool]:
    """Loses one in five."""
    chance = source(seed, "answers")
    return lambda number, probe: chance.random() < 0.2


@pytest.mark.parametrize("mtu", [1500, 1400, 999])
def test_who_answers_once_a_second_is_no_black_hole(mtu: int) -> None:
    """A host that limits its answers as Linux does (six at once, then one a second) is measured all the same."""
    clock = ManualClock()
    bucket = Bucket(clock)
    wire = SimulatedPath(
        clock,
        (1500, mtu, 1500),
        frozenset({1}),
        methods=("udp",),
        loses=lambda _, probe: not bucket.has_one(probe, mtu),
    )

    found, _ = search(wire, packets=1000)

    assert (found.passes, found.is_exact) == (mtu, True)


class Bucket:
    """Tokens for answers: six, and one more each second; what does not arrive takes none."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._tokens, self._since = 6.0, clock.now()

    def has_one(self, probe: Probe, mtu: int) -> bool:
        """Whether this probe is answered."""
        now = self._clock.now()
        self._tokens = min(6.0, self._tokens + (now - self._since) / SECOND)
        self._since = now
        if probe.size > mtu or self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def test_who_stops_answering_is_no_black_hole() -> None:
    """When small probes are no longer answered either, nothing is concluded, and it is said why."""
    wire = silent_path(1400, 1500, loses=lambda number, _: number > 8)

    found, _ = search(wire, packets=1000)

    assert not found.is_exact
    assert found.is_limited


def test_a_host_that_never_answers() -> None:
    """Who answers nothing gets three small probes by each way, and a bare SYN."""
    wire = silent_path(1400, 1500, loses=lambda number, _: True)

    found, budget = search(wire)

    assert not found.responding
    assert not found.is_exact
    assert budget.sent == 10


@pytest.mark.parametrize("method", ["echo", "udp", "tcp"])
def test_one_way_is_enough(method: Method) -> None:
    """A host that answers one kind of probe alone is measured by it; the others are tried twice, no more."""
    wire = silent_path(1234, 1500, loses=lambda _, probe: probe.method != method)

    found, _ = search(wire)

    assert found.responding == (method,)
    assert all(wire.sent.count(Probe(other, SMALL)) == 2 for other in wire.methods if other != method)
    assert (found.passes, found.is_exact) == (1234, True)


@pytest.mark.parametrize("limit", [150, 600, 1100])
def test_large_pings_that_are_not_answered_are_not_the_path(limit: int) -> None:
    """A host, or a way back, that lets no large echo through is measured by what has short answers."""
    wire = silent_path(1234, 1500, loses=lambda _, probe: probe.method == "echo" and probe.size > limit)

    found, _ = search(wire, packets=2 * ENOUGH)

    assert (found.passes, found.is_exact) == (1234, True)
    assert found.is_one_way


def test_data_in_a_syn_that_is_dropped_is_not_the_path() -> None:
    """Where SYNs with data are lost the offered MSS is learnt by one without."""
    wire = silent_path(1234, 1500, loses=lambda _, probe: probe.method == "tcp" and probe.size > 64)

    found, _ = search(wire)

    assert (found.passes, found.mss, found.port) == (1234, 1460, "open")
    assert "tcp" not in found.responding


@pytest.mark.parametrize("told", [0, 20, 1500, 65535])
def test_an_impossible_mtu_is_ignored(told: int) -> None:
    """A router that says "too big" with a number that cannot be is named, and the size is looked for."""
    wire = SimulatedPath(ManualClock(), (1500, 1234, 1500), claimed_mtu=told)

    found, _ = search(wire)

    assert (found.passes, found.is_exact) == (1234, True)
    assert found.signal is not None


def test_a_silent_place_behind_one_that_speaks() -> None:
    """What the first router says does not hide that a later one is narrower and silent."""
    wire = SimulatedPath(ManualClock(), (1500, 1400, 1300, 1500), silent=frozenset({2}))

    found, _ = search(wire)

    assert (found.passes, found.is_exact, found.signal) == (1300, True, None)


def test_two_places_that_speak() -> None:
    """The narrower one is the path's."""
    found, _ = search(SimulatedPath(ManualClock(), (1500, 1400, 1300, 1500)))

    assert found.passes == 1300
    assert found.signal is not None
    assert found.signal.hop == "192.0.2.2"


def test_the_next_size_always_halves_what_is_left() -> None:
    """Between any two bounds the next size lies strictly between them, until none is left."""
    for passes in range(SMALL, 1500, 13):
        for ceiling in range(passes + 1, 1502, 17):
            size = next_size(passes, ceiling, False, 1500)

            assert (size is None) == (ceiling - passes == 1)
            assert size is None or passes < size < ceiling


@pytest.mark.parametrize(("ttl", "distance"), [(64, 1), (60, 5), (65, 64), (128, 1), (120, 9), (255, 1), (250, 6)])
def test_how_far_an_answer_came(ttl: int, distance: int) -> None:
    """The TTL that is left tells it, whichever of the usual ones the sender began with."""
    assert hops(ttl) == distance
