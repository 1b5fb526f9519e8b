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


@pytest.mark.parametrize(("burstiness", "skew"), [(0, 0), (1, 1.2), (30, 0), (30, 1.5)])
def test_clients_have_the_rate_together(burstiness: float, skew: float) -> None:
    """Over many seeds as many requests start as one process would send, from the first second on."""
    clients = {"count": 20, "burstiness": burstiness, "skew": skew}
    work = workload(request_rate="20/s", clients=clients)

    runs = [schedule(work, seed, 10 * SECOND) for seed in range(400)]

    first = [sum(at < SECOND for at in run) for run in runs]
    assert statistics.fmean(map(len, runs)) == pytest.approx(200, rel=0.1)
    assert statistics.fmean(first) == pytest.approx(20, rel=0.2)


def test_a_few_bursty_clients_dominate() -> None:
    """With skew the busiest client sends most; many bursty clients are less bursty together than few."""
    few, many = (
        workload(request_rate="50/s", clients={"count": count, "burstiness": 40, "skew": skew})
        for count, skew in ((50, 2.0), (50, 0.0))
    )

    dispersion = [_dispersion(schedule(work, 2, 2000 * SECOND)) for work in (few, many)]

    assert few.clients is not None
    assert few.clients.parts[0] > 0.6
    assert sum(few.clients.parts) == pytest.approx(1)
    assert dispersion[0] > 1.3 * dispersion[1] > 2


def _dispersion(starts: list[int]) -> float:
    """The variance of the counts of seconds, in their mean: 1 for a Poisson process."""
    counts = [0] * (starts[-1] // SECOND + 1)
    for at in starts:
        counts[at // SECOND] += 1
    return statistics.variance(counts) / statistics.fmean(counts)


def test_one_regular_client_is_regular() -> None:
    """A single client without burstiness sends at equal times, from a moment on that the seed draws."""
    starts = schedule(workload(request_rate="10/s", clients={"count": 1, "burstiness": 0}), 3, 2 * SECOND)

    assert 0 < starts[0] < SECOND // 10
    assert {after - before for before, after in itertools.pairwise(starts)} <= {
        SECOND // 10 - 1,
        SECOND // 10,
        SECOND // 10 + 1,
    }
