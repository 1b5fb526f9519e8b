"""Whose fault a stall was, where the reference server stamped its events."""

from __future__ import annotations

import pytest
from made_runs import Made, ns

from chaoskit.analysis.network.attribution import Traces, blame, disordered
from chaoskit.analysis.result import Blame
from chaoskit.records.model import Event, SocketRead, TcpInfo


def of(made: Made, *went_on: int) -> Blame:
    """The blame for all stalls of a run."""
    infos = [record for record in made.records if isinstance(record, TcpInfo)]
    return blame(made.streams().gaps, Traces(frozenset(went_on), disordered(infos)))


def stamped(*tokens: tuple[float, float, float, float]) -> Made:
    """A stream whose tokens were due, sent, arrived and were read at these times."""
    made = Made()
    made.stream(0, ended=tokens[-1][2])
    for number, (due, sent, at, user) in enumerate(tokens):
        made.records.append(made.read(0, number, at, late=user - at, seq=number, due=ns(due), sent=ns(sent)))
    return made


@pytest.mark.parametrize(
    ("token", "whose"),
    [
        ((20, 320, 321, 321), "server_ms"),
        ((20, 20, 321, 321), "network_ms"),
    ],
)
def test_one_culprit_has_it_all(token: tuple[float, float, float, float], whose: str) -> None:
    """A token sent late is the server's stall, one that took long the network's."""
    found = of(stamped((0, 0, 1, 1), token))

    assert found.stalls == 1
    assert getattr(found, whose) == pytest.approx(120)
    assert found.server_ms + found.network_ms + found.client_ms + found.unknown_ms == pytest.approx(120)


def test_shares_follow_the_lateness() -> None:
    """100 ms late from the server, 200 ms longer on its way, 100 ms unread: a quarter, a half, a quarter."""
    found = of(stamped((0, 0, 1, 1), (20, 120, 321, 421)))

    assert (found.server_ms, found.network_ms, found.client_ms) == pytest.approx((30, 60, 30))


def test_a_standing_delay_is_nobodys_stall() -> None:
    """Tokens that are all 500 ms on their way have no gap to blame."""
    assert of(stamped((0, 0, 500, 500), (20, 20, 520, 520), (40, 40, 540, 540))).stalls == 0


def test_only_what_grew_is_to_blame() -> None:
    """A server that was late already, by 300 ms, is not to blame for what the network adds."""
    found = of(stamped((0, 300, 301, 301), (20, 320, 621, 621)))

    assert (found.server_ms, found.network_ms) == (0, pytest.approx(120))


def test_a_death_is_the_networks_if_the_server_went_on() -> None:
    """Where the server sent more than arrived the network kept it; else nobody knows."""
    made = Made()
    made.stream(0, [100, 120], "idle_timeout", ended=1320)

    assert of(made, 0).network_ms == 1000
    assert of(made).unknown_ms == 1000


def test_stamps_make_it_exact() -> None:
    """What is worked out from stamps needs no reservation."""
    found = of(stamped((0, 0, 1, 1), (20, 320, 321, 321)))

    assert (found.confidence, found.reason) == ("exact", "")


def unstamped(burst: int, *out_of_order: int) -> Blame:
    """A stall of somebody else's server that ends with so many tokens at once; the receiver's counts on the way."""
    made = Made()
    made.stream(0, [100], ended=500)
    made.records.append(SocketRead(0, 1, ns(500), ns(500), 100, (Event("content"),) * burst))
    for index, count in enumerate(out_of_order):
        made.records.append(TcpInfo(0, "start" if index == 0 else "end", ns(index), {"rcv_ooopack": count}))
    return of(made)


def test_a_hole_that_was_filled_is_likely_the_networks() -> None:
    """Without stamps, a gap that ends in a burst after segments came out of order was a loss on the way."""
    found = unstamped(3, 7, 9)

    assert (found.network_ms, found.unknown_ms) == (200, 0)
    assert found.confidence == "likely"
    assert "out of order" in found.reason


@pytest.mark.parametrize(("burst", "counts"), [(1, (0, 2)), (3, (2, 2)), (3, ()), (1, ())])
def test_without_stamps_and_traces_nobody_knows(burst: int, counts: tuple[int, ...]) -> None:
    """One token after the gap, no segment out of order, an old kernel that does not count them: no verdict."""
    found = unstamped(burst, *counts)

    assert (found.network_ms, found.unknown_ms) == (0, 200)
    assert found.confidence == "none"
    assert found.reason.startswith("the target stamps nothing")
