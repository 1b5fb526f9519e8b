"""The lag of the client and of the reference server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import Made, ns, plan

from chaoskit.analysis.analyse import analyse
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


def test_the_slowest_of_several_processes_counts() -> None:
    """Each has its own loop: one that waits 30 ms in every half second is not diluted by three that do not wait."""
    slow = lines(*[30.0] * 100)
    many = [replace(line, process=0) for line in slow]
    many += [replace(line, process=process) for process in (1, 2, 3) for line in lines(*[0.1] * 100)]

    assert loop_lag(many) == loop_lag(slow)
    assert health(Made().streams(), many).overloaded


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


@pytest.mark.parametrize(("own", "decides"), [(1, True), (2, False)])
def test_the_clients_own_failures_are_not_the_endpoints(own: int, decides: bool, tmp_path: Path) -> None:
    """They count in no rate, latency or goodput; above 1 % of all requests nothing is decided; a warning says why."""
    made = Made(plan(["interruption_rate <= 5%"])).phases().many(0, 100 * (150 - own), 100).vitals(30_000)
    reason = "this client's own limit: too many open files (EMFILE)"
    for index in range(own):
        made.stream(100 + index, completion="client_error", detail=reason, ended=101 + index)
    found = analyse(made.served(0, 5, 5).write(run=tmp_path))

    assert found.overall.completions["client_error"] == own
    assert (found.overall.interrupted, found.overall.interruption_rate.value) == (0, 0.0)
    assert found.overall.ttft.count == 150 - own
    assert found.overall.ttft.never == 0
    assert found.health.client_errors == own
    assert any(
        f"{own} of 150 requests failed in the client: {reason}; they are not counted" in w for w in found.warnings
    )
    assert found.outcome.verdict == ("met" if decides else "undecided")
    if not decides:
        assert found.outcome.reason.startswith("2 of 150 requests failed in the client: ")
