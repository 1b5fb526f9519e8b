"""The schedule of an open loop."""

import itertools
import statistics

import pytest
from far_side import workload

from chaoskit.spec.arrivals import arrivals, schedule

SECOND = 10**9


def test_the_seed_decides() -> None:
    """The same seed gives the same schedule, another one another."""
    work = workload(request_rate="10/s")

    assert schedule(work, 1, 60 * SECOND) == schedule(work, 1, 60 * SECOND)
    assert schedule(work, 1, 60 * SECOND) != schedule(work, 2, 60 * SECOND)


def test_constant_gaps_are_exact() -> None:
    """Without burstiness the gaps are equal and nothing drifts."""
    work = workload(request_rate="8/s", burstiness=0)

    assert schedule(work, 1, 10 * SECOND) == [n * SECOND // 8 for n in range(80)]


@pytest.mark.parametrize("burstiness", [0.25, 1, 4])
def test_gaps_have_the_requested_rate_and_burstiness(burstiness: float) -> None:
    """Mean gap and squared coefficient of variation are those of the workload."""
    work = workload(request_rate="50/s", burstiness=burstiness)

    offsets = list(itertools.islice(arrivals(work, 3), 20_000))

    gaps = [after - before for before, after in itertools.pairwise(offsets)]
    assert statistics.fmean(gaps) == pytest.approx(SECOND / 50, rel=0.05)
    assert statistics.variance(gaps) / statistics.fmean(gaps) ** 2 == pytest.approx(burstiness, rel=0.15)


def test_a_schedule_begins_at_once_and_ends_in_time() -> None:
    """Offsets ascend from 0 and stay below the length."""
    offsets = schedule(workload(request_rate="100/s"), 5, 3 * SECOND)

    assert offsets[0] == 0
    assert offsets == sorted(offsets)
    assert offsets[-1] < 3 * SECOND


def test_a_longer_schedule_continues_a_shorter_one() -> None:
    """The length cuts the schedule and does not shape it."""
    work = workload(request_rate="10/s")

    short, long = schedule(work, 1, 5 * SECOND), schedule(work, 1, 50 * SECOND)

    assert long[: len(short)] == short
