"""What may begin beside what, and how long all will take."""

from __future__ import annotations

import pytest

from chaoskit.gameday.schedule import may_begin
from chaoskit.report.runs_progress import Pace, remaining

S = 10**9


@pytest.mark.parametrize(
    ("is_virtual", "running", "jobs", "expected"),
    [
        (True, [], 1, True),
        (False, [], 4, True),
        (True, [True], 2, True),
        (True, [True, True], 2, False),
        (True, [False], 2, False),
        (False, [True], 2, False),
    ],
)
def test_a_run_in_real_time_is_alone(is_virtual: bool, running: list[bool], jobs: int, expected: bool) -> None:
    """Those in virtual time share the processors."""
    assert may_begin(is_virtual, running, jobs) is expected


def test_the_remaining_time_follows_from_the_plans() -> None:
    """In real time a planned second is one; in virtual time it takes what it took so far."""
    real = [Pace(60 * S, 0, False, "waiting"), Pace(60 * S, 20 * S, False, "running")]
    virtual = [Pace(100 * S, 10 * S, True, "ended"), *[Pace(100 * S, 0, True, "waiting")] * 4]

    assert remaining(real, 2) == 100 * S
    assert remaining(virtual, 2) == 20 * S
    assert remaining(virtual, 1) == 40 * S
    assert remaining([*real, *virtual], 2) == 120 * S
    assert remaining(virtual[1:], 2) is None
    assert remaining([Pace(S, S, True, "ended")], 2) == 0
