"""Users who gave up and asked again: what counts once for each of them, and what for each attempt."""

from __future__ import annotations

import math

from made_runs import Made, ns

from chaoskit.analysis.streams.goodput import good_streams
from chaoskit.analysis.streams.latencies import latencies
from chaoskit.spec.objectives import parse

MS = 1_000_000


def stormed() -> Made:
    """A user who is served at the third attempt, one who never is, and one who needs no second one."""
    made = Made()
    made.stream(1000, [], "abandoned", ended=11_000)
    made.stream(2000, [], "http_error", ended=2100, headers=ns(2100))
    made.stream(13_000, [], "abandoned", ended=23_000, attempt=2, retry_of=0)
    made.stream(4100, [], "abandoned", ended=14_100, attempt=2, retry_of=1)
    made.stream(25_000, [25_500, 25_520], attempt=3, retry_of=2)
    made.stream(5000, [5200, 5220])
    return made


def values(name: str) -> dict[int, float]:
    """A latency of each stream that has one, ms."""
    streams = stormed().streams().ended
    return {each.stream: each.value / MS for stream in streams for each in latencies(stream) if each.name == name}


def test_a_user_waits_from_the_first_attempt_on() -> None:
    """One value for each user, from his first attempt: of the last one, which was served, or never was."""
    assert values("ttft") == {3: math.inf, 4: 24_500, 5: 200}
    assert values("e2el") == {3: math.inf, 4: 24_520, 5: 220}


def test_the_servers_own_time_is_that_of_each_attempt() -> None:
    """Counted from when it was sent, the first token of every attempt has a value."""
    assert values("ttft_from_sent") == {0: math.inf, 1: math.inf, 2: math.inf, 3: math.inf, 4: 500, 5: 200}


def test_a_wait_is_charged_from_its_begin_to_its_end() -> None:
    """So that a fault in which a user asked first is charged for all of it."""
    (last,) = (each for each in stormed().streams().ended if each.number == 4)
    (ttft,) = (each for each in latencies(last) if each.name == "ttft")

    assert (ttft.begin, ttft.end) == (ns(1000), ns(25_500))


def test_goodput_has_the_users_who_were_served_in_time() -> None:
    """By their whole wait: a quick last attempt does not make up for the first ones."""
    streams = stormed().streams().ended

    def good(sentence: str) -> frozenset[int]:
        return good_streams(streams, [parse(sentence)], lambda _: "", {})

    assert good("ttft_p95 < 30s") == {4, 5}
    assert good("ttft_p95 < 5s") == {5}
    assert good("interruption_rate < 1%") == {4, 5}


def test_every_attempt_is_a_stream_that_may_be_interrupted() -> None:
    """A user who was served in the end does not make the failures before it good."""
    assert sum(stream.is_interrupted for stream in stormed().streams().ended) == 4
