"""Tests the count of packets, the limits, and the adaptive timeouts."""

from __future__ import annotations

import pytest

from chaoskit.clock import ManualClock
from chaoskit.pathmtu.probes import SECOND, SMALL, Answer, Method, NoReply, Pause, Probe, Procedure, Reply
from chaoskit.pathmtu.simulated_path import SimulatedPath
from chaoskit.pathmtu.transport import Budget, BudgetExhausted, Transport

HOUR = 3600 * SECOND
ECHO = Probe("echo", SMALL)
LOST = Probe("echo", 1500)


def ask(*steps: tuple[Probe, ...] | Pause) -> Procedure[list[tuple[Answer, ...]]]:
    """A talk that asks just this, and brings back what came."""
    answers = []
    for step in steps:
        answers.append((yield step))
    return answers


def line(wire: SimulatedPath, packets: int = 100, until: int = HOUR) -> Transport:
    """A line over it."""
    return Transport(wire, wire.clock, Budget(packets, until), lambda burst: None)


def wire(**words: object) -> SimulatedPath:
    """Two links that take a small probe and lose a large one."""
    return SimulatedPath(ManualClock(), (1400, 1400), **words)  # type: ignore[arg-type]


def test_answers_come_in_the_order_of_their_probes() -> None:
    """Whatever is lost between them."""
    (answers,) = line(wire()).run(ask((ECHO, LOST, ECHO)))

    assert [type(answer) for answer in answers] == [Reply, NoReply, Reply]


@pytest.mark.parametrize("packets", range(1, 12))
def test_no_packet_more_than_allowed_is_sent(packets: int) -> None:
    """Resets that the kernel sends count as packets, and are reserved before a SYN is sent."""
    paper = wire()
    budget = Budget(packets, HOUR)

    with pytest.raises(BudgetExhausted):
        Transport(paper, paper.clock, budget, lambda burst: None).run(ask(*[(Probe("tcp", SMALL),)] * 9))

    assert budget.sent == 2 * len(paper.sent) <= packets
    assert budget.sent > packets - 2
    assert budget.cause == "packets"


def test_the_time_ends_it_too() -> None:
    """No volley begins after it, and none is waited for beyond it."""
    paper = wire()
    budget = Budget(1000, 5 * SECOND)
    steps: list[tuple[Probe, ...] | Pause] = [(LOST,), Pause(SECOND)]

    with pytest.raises(BudgetExhausted):
        Transport(paper, paper.clock, budget, lambda burst: None).run(ask(*steps * 50))

    assert paper.clock.now() == 5 * SECOND
    assert budget.cause == "time"


def test_silence_takes_a_second_before_the_first_answer_and_a_fifth_after_it() -> None:
    """On a path of 20 ms."""
    paper = wire()
    on_it = line(paper)

    on_it.run(ask((LOST,)))
    first = paper.clock.now()
    on_it.run(ask((ECHO,), (LOST,)))

    assert first == SECOND
    assert paper.clock.now() - first == 220_000_000


def test_a_late_answer_makes_the_next_wait_longer() -> None:
    """Twice as long, up to three seconds; and it is no answer to what was asked since."""
    late = Late()
    on_it = Transport(late, late.clock, Budget(100, HOUR), lambda burst: None)

    answers = on_it.run(ask((ECHO,), (ECHO,), (ECHO,)))
    begun = late.clock.now()
    on_it.run(ask((ECHO,)))

    assert answers == [(Reply(),), (NoReply(),), (NoReply(),)]
    assert late.clock.now() - begun == 400_000_000


class Late:
    """A wire that answers the first probe at once, and the second while the third is waited for."""

    def __init__(self) -> None:
        self.methods: tuple[Method, ...] = ("echo",)
        self.clock = ManualClock()
        self._last = 0

    def send(self, probe: Probe, token: int) -> None:
        """Remember which it is."""
        self._last = token

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """The first at once; after the third, the second."""
        match self._last:
            case 0:
                return 0, Reply()
            case 2:
                self._last = 9
                self.clock.sleep_until(self.clock.now() + SECOND // 100)
                return 1, Reply()
        self.clock.sleep_until(until)
        return None


def test_every_reset_is_counted() -> None:
    """The kernel resets every SYN-ACK."""
    late = Often()
    budget = Budget(100, HOUR)

    Transport(late, late.clock, budget, lambda burst: None).run(ask((Probe("tcp", SMALL), ECHO)))

    assert budget.sent == 2 + 10


class Often(Late):
    """A wire that says the same ten times."""

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """The same SYN-ACK again and again, for a while."""
        if self.clock.now() < SECOND // 10:
            self.clock.sleep_until(self.clock.now() + SECOND // 100)
            return 0, Reply(is_open=True)
        self.clock.sleep_until(until)
        return None


@pytest.mark.parametrize("token", [-1, 1, 65535])
def test_an_answer_to_what_was_never_sent_is_none(token: int) -> None:
    """A forged token has no effect."""
    forged = Forged(token)

    (answers,) = Transport(forged, forged.clock, Budget(9, HOUR), lambda burst: None).run(ask((ECHO,)))

    assert answers == (NoReply(),)


class Forged(Late):
    """A wire on which somebody answers another packet."""

    def __init__(self, token: int) -> None:
        super().__init__()
        self._token = token

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """That once, and then nothing."""
        if self.clock.now() == 0:
            self.clock.sleep_until(1)
            return self._token, Reply()
        self.clock.sleep_until(until)
        return None


def test_on_send_is_called_before_each_burst() -> None:
    """Each volley once."""
    paper = wire()
    told: list[tuple[int, tuple[Probe, ...]]] = []

    Transport(paper, paper.clock, Budget(9, HOUR), lambda burst: told.append((len(paper.sent), burst))).run(
        ask((ECHO, LOST), (ECHO,))
    )

    assert told == [(0, (ECHO, LOST)), (2, (ECHO,))]
