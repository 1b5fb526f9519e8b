"""Whose fault a stall was, where the reference server stamped its events."""

from __future__ import annotations

import pytest
from made_runs import Made, ns

from chaoskit.analysis.attribution import blame
from chaoskit.analysis.result import Blame
from chaoskit.analysis.streams import streams
from chaoskit.records.model import Read, Request


def of(made: Made, *went_on: int) -> Blame:
    """The blame for all stalls of a run."""
    requests = [record for record in made.records if isinstance(record, Request)]
    found, _ = streams(requests, [record for record in made.records if isinstance(record, Read)])
    return blame([gap for stream in found for gap in stream.gaps], frozenset(went_on))


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


def test_without_stamps_nobody_knows() -> None:
    """Somebody else's server stamps nothing."""
    made = Made()
    made.stream(0, [100, 500])

    assert of(made).unknown_ms == 200
