"""The clock of an arrival process: times of the day, and phases that multiply the rate."""

import itertools
import statistics

import pytest
from far_side import workload
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.spec.arrivals import expected, schedule
from chaoskit.spec.demand import Diurnal
from chaoskit.spec.demand_curve import DemandCurve, Surges

SECOND = 10**9
DAY = Diurnal.model_validate({"peak-to-trough": "4x", "period": "60s"})
surge_lists = st.lists(
    st.tuples(st.integers(1, 50).map(lambda seconds: seconds * SECOND), st.sampled_from([0.0, 0.25, 1.0, 3.0, 40.0])),
    max_size=5,
).map(tuple)


@given(surge_lists, st.sampled_from([None, DAY]), st.lists(st.floats(0, 500), min_size=1))
def test_a_moment_is_when_the_clock_shows_it(surges: Surges, diurnal: Diurnal | None, shown: list[float]) -> None:
    """Both directions of the clock agree, and the order is kept, whatever the day and the phases."""
    curve = DemandCurve(surges, diurnal)

    found = list(curve.moments(sorted(shown)))

    assert found == sorted(found)
    assert [curve.elapsed(at) for at in found] == pytest.approx(sorted(shown), abs=1e-5)


@given(surge_lists, st.sampled_from([None, DAY]))
def test_the_highest_rate_is_not_exceeded(surges: Surges, diurnal: Diurnal | None) -> None:
    """In no tenth of a second does the clock run faster than `highest`."""
    curve = DemandCurve(surges, diurnal)

    shown = [curve.elapsed(at / 10) for at in range(2000)]

    assert max(after - before for before, after in itertools.pairwise(shown)) <= 0.1 * curve.highest + 1e-9


@pytest.mark.parametrize("burstiness", [0, 1, 6])
def test_a_surge_multiplies_the_rate_and_keeps_the_burstiness(burstiness: float) -> None:
    """In a phase with 5x five times as many requests start, with gaps of the same dispersion."""
    work = workload(request_rate="40/s", burstiness=burstiness)
    surges = ((100 * SECOND, 1.0), (100 * SECOND, 5.0))

    starts = schedule(work, 3, 300 * SECOND, surges)

    counts = [
        sum(begin <= at < begin + 100 * SECOND for at in starts) for begin in range(0, 300 * SECOND, 100 * SECOND)
    ]
    assert counts == pytest.approx([4000, 20_000, 4000], rel=0.06)
    gaps = [b - a for a, b in itertools.pairwise(at for at in starts if 100 * SECOND <= at < 200 * SECOND)]
    assert statistics.variance(gaps) / statistics.fmean(gaps) ** 2 == pytest.approx(burstiness, rel=0.15, abs=1e-3)


def test_a_phase_without_demand_has_no_requests() -> None:
    """0x: nothing starts, and what follows is as if it had not been."""
    work = workload(request_rate="10/s")

    starts = schedule(work, 1, 60 * SECOND, ((20 * SECOND, 1.0), (20 * SECOND, 0.0)))

    assert not [at for at in starts if 20 * SECOND <= at < 40 * SECOND]
    moved = [at - 20 * SECOND for at in starts if at >= 40 * SECOND]
    assert moved == pytest.approx([at for at in schedule(work, 1, 40 * SECOND) if at >= 20 * SECOND], abs=2)


def test_a_day_has_its_peak_and_its_trough() -> None:
    """The rate of the peak's tenth of a period is the given multiple of that of the trough's; the mean is the rate."""
    work = workload(request_rate="50/s", diurnal={"peak-to-trough": "4x", "period": "100s", "peak": "25s"})

    starts = schedule(work, 5, 1000 * SECOND)

    phases = [at % (100 * SECOND) // (10 * SECOND) for at in starts]
    peak, trough = (sum(each in tenths for each in phases) for tenths in ((2,), (7,)))
    assert len(starts) == pytest.approx(50_000, rel=0.02)
    assert peak / trough == pytest.approx(4, rel=0.1)


def test_without_day_and_surges_nothing_changes() -> None:
    """Multiples of 1 give the schedule of a plain rate, to the nanosecond."""
    work = workload(request_rate="10/s")

    assert schedule(work, 1, 60 * SECOND, ((10 * SECOND, 1.0), (50 * SECOND, 1.0))) == schedule(work, 1, 60 * SECOND)


def test_the_mean_of_the_arrivals_is_expected() -> None:
    """Over many seeds as many requests start in a stretch as `expected` says."""
    work = workload(request_rate="20/s", diurnal={"peak-to-trough": "3x", "period": "20s"})
    surges = ((10 * SECOND, 2.0), (5 * SECOND, 0.5))

    counts = [
        sum(8 * SECOND <= at < 14 * SECOND for at in schedule(work, seed, 14 * SECOND, surges)) for seed in range(300)
    ]

    assert statistics.fmean(counts) == pytest.approx(expected(work, 8 * SECOND, 14 * SECOND, surges), rel=0.03)
