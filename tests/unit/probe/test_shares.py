"""The shares of several processes are together what one process does, and no two have anything in common."""

from __future__ import annotations

import itertools

import pytest

from chaoskit.errors import SpecError
from chaoskit.probe.shares import Share, divide
from chaoskit.spec.arrivals import schedule
from chaoskit.spec.workload import Workload

OPEN = Workload.model_validate({"request-rate": "100/s"})


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_all_arrivals_are_those_of_one_process(processes: int) -> None:
    """Every n-th, each with the number of its position in the schedule."""
    whole = schedule(OPEN, 7, 10**9)
    parts = [list(zip(share.numbers(), share.of(whole), strict=False)) for share in divide(OPEN, 0, 100, processes)]

    assert sorted(itertools.chain(*parts)) == list(enumerate(whole))


@pytest.mark.parametrize(("warm_up", "turns", "requests"), [(0, 1, 9), (5, 1, 9), (7, 3, 13), (10, 5, 16)])
def test_warm_up_requests_are_divided(warm_up: int, turns: int, requests: int) -> None:
    """As many as asked for, and no process has more of them than requests."""
    work = Workload.model_validate({"max-concurrency": 9, "warm-up": warm_up, "turns": turns})
    shares = divide(work, 0, requests, 3)
    own = [
        sum((position // turns) % 3 == share.index for position in range(requests)) - share.warm_ups(work, 0)
        for share in shares
    ]

    assert sum(share.warm_ups(work, 0) for share in shares) == warm_up
    assert min(own) >= 0
    assert sum(own) == requests - warm_up


def test_a_process_without_work_is_refused() -> None:
    """With what to type."""
    closed = Workload.model_validate({"max-concurrency": 2})
    with pytest.raises(
        SpecError, match=r"^--processes 3: more than the 2 streams at a time; give at most --processes 2"
    ):
        divide(closed, 0, 100, 3)
    with pytest.raises(SpecError, match=r"^--processes 3: more than the 1 request; give at most --processes 1"):
        divide(OPEN, 0, 1, 3)
    with pytest.raises(SpecError, match=r"^--processes 3: more than the 2 conversations"):
        divide(Workload.model_validate({"request-rate": "1/s", "turns": 5}), 0, 10, 3)


def test_only_several_processes_are_numbered_in_the_records() -> None:
    """One process records as if there were no such thing."""
    assert Share().process is None
    assert [share.process for share in divide(OPEN, 0, 9, 2)] == [0, 1]
