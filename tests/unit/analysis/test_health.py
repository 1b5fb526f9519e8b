"""The lag of the client and of the reference server."""

from __future__ import annotations

from made_runs import Made, ns

from chaoskit.analysis.health import health, loop_lag
from chaoskit.records.model import Vitals

MS = 1_000_000


def lines(*lags: float) -> list[Vitals]:
    """A line each half second."""
    return [Vitals(ns(index * 500), 0, 0, 0, round(lag * MS), 0) for index, lag in enumerate(lags)]


def test_loop_lag_is_the_p99_over_time() -> None:
    """In 100 s, one second may be slower: three waits of 520 ms leave 1/3 s each above 186.67 ms."""
    lag = loop_lag(lines(*[0.1] * 198, 520, 520, 520))

    assert lag is not None
    assert round(lag / MS, 2) == 186.67


def test_a_single_long_wait_is_not_overload() -> None:
    """A single wait of half a second in a minute is under 1 % of the time."""
    assert not health(Made().streams(), lines(*[0.5] * 119, 500)).overloaded


def test_a_slow_loop_is_overload() -> None:
    """A loop that waits 30 ms in every half second: 2 % of the time the wait is longer than 20 ms."""
    seen = health(Made().streams(), lines(*[30.0] * 100))

    assert seen.loop_lag_p99_ms is not None
    assert 20 < seen.loop_lag_p99_ms < 30
    assert seen.overloaded


def test_late_starts_are_overload() -> None:
    """Two requests in a hundred that start 51 ms late are overload, one is not."""
    one, two = Made(), Made()
    for index in range(100):
        one.stream(index, started=ns(index + (51 if index == 0 else 0)))
        two.stream(index, started=ns(index + (51 if index < 2 else 0)))

    assert not health(one.streams(), []).overloaded
    assert health(two.streams(), []).overloaded


def test_a_late_server_is_seen_in_its_stamps() -> None:
    """The p99 of sent - due over all stamped tokens."""
    made = Made()
    made.stream(0, ended=100)
    made.records += [made.read(0, i, i, seq=i, due=ns(i), sent=ns(i + (30 if i < 3 else 1))) for i in range(100)]

    assert health(made.streams(), []).server_late_p99_ms == 30


def test_without_records_there_is_no_lag() -> None:
    """Without records there is no lag, and no overload."""
    seen = health(Made().streams(), [])

    assert (seen.scheduling_lag_p99_ms, seen.loop_lag_p99_ms, seen.server_late_p99_ms) == (None, None, None)
    assert not seen.overloaded
