"""Intervals of what streams add up to: by stream, never by gap, open where little is known, true as often as said."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from made_runs import MS, Made

from chaoskit.analysis.statistics import estimators, mover
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.gap_percentiles import GapPercentiles
from chaoskit.analysis.statistics.mover import Bounded
from chaoskit.analysis.statistics.ratio_of_sums import SumOverStreams
from chaoskit.analysis.streams.phase_samples import PhaseSamples


def ends(estimate: estimators.Estimate) -> tuple[float, float]:
    """Its interval."""
    return estimate.low, estimate.high


@pytest.mark.parametrize("shape", [0.4, 1, 1000])
def test_stalls_that_gather_in_few_streams_are_covered(shape: float) -> None:
    """Of 400 samples of 50 streams the interval holds the true rate in 93 % at the least, and is rarely below it."""
    random = np.random.default_rng(5)
    low, high = np.array(
        [
            ends(estimators.ratio(random.poisson(random.gamma(shape, 2 / shape, 50)).tolist(), [1] * 50))
            for _ in range(400)
        ]
    ).T

    assert np.mean((low <= 2) & (high >= 2)) >= 0.93
    assert np.mean(high < 2) <= 0.045


@pytest.mark.parametrize("percent", [50, 90, 95])
def test_percentiles_of_gaps_are_covered(percent: int) -> None:
    """Of 300 samples of 20 streams, each with a pace of its own, nine in ten intervals hold the true percentile."""
    random, hits = np.random.default_rng(6), 0
    truth = np.percentile(np.exp(random.normal(3, math.hypot(0.3, 0.5), 1_000_000)), percent)
    owners = np.repeat(np.arange(20), 40)
    for _ in range(300):
        lengths = np.exp(random.normal(3, 0.5, 800) + random.normal(0, 0.3, 20)[owners])
        low, high = GapPercentiles(lengths, owners).interval(percent)
        hits += low <= truth <= high

    assert hits / 300 >= 0.92


def test_a_constant_has_no_width() -> None:
    """Streams that are all alike leave nothing open but what was never seen."""
    assert ends(estimators.mean([300.0] * 10, [1] * 10)) == (300, 300)
    assert ends(estimators.ratio([3] * 20, [2] * 20)) == (1.5, 1.5)


def test_no_event_still_has_an_upper_bound_above_zero() -> None:
    """No stall in 100 minutes leaves room for three or four in the next: Garwood's interval."""
    low, high = ends(estimators.ratio([0] * 20, [5] * 20))

    assert low == 0
    assert high == pytest.approx(-math.log(0.025) / 100)


def test_rates_have_garwoods_interval() -> None:
    """Ten in five seconds is a rate between one and nearly four, with the ends of published tables."""
    assert ends(estimators.number_per_second(10, 5, 10)) == pytest.approx((4.795 / 5, 18.39 / 5), rel=1e-3)
    assert ends(estimators.number_per_second(0, 5, 3)) == pytest.approx((0, 3.689 / 5), rel=1e-3)


def test_streams_of_one_size_are_counted_as_poisson() -> None:
    """Tokens that come in streams of one size have the interval of the number of streams, times that size."""
    found = ends(estimators.tokens_per_second([120.0] * 40, 60, 40))

    assert found == pytest.approx([120 * end for end in ends(estimators.number_per_second(40, 60, 40))], rel=1e-9)


def test_a_share_is_the_same_from_both_sides() -> None:
    """A share of time and the rest of the time have intervals that add up to one."""
    random = np.random.default_rng(7)
    parts, wholes = random.uniform(0, 3, 30).tolist(), [4.0] * 30

    low, high = ends(estimators.ratio(parts, wholes, most=1.0))
    rest = ends(estimators.ratio([4 - part for part in parts], wholes, most=1.0))

    assert (low, high) == pytest.approx((1 - rest[1], 1 - rest[0]))
    assert 0 < low < sum(parts) / 120 < high < 1


def test_a_bound_is_tested_as_the_interval_is() -> None:
    """Whether a sum is below or above a bound agrees with the ends of its interval."""
    random = np.random.default_rng(8)
    for is_share in (False, True):
        for _ in range(50):
            parts = random.poisson(0.7, 15).clip(max=4) + np.eye(15)[0] * 0.01
            found = SumOverStreams.of(parts, [4] * 15, is_share)
            low, high = found.interval

            assert found.is_below(high * 1.001)
            assert not found.is_below(high * 0.999)
            assert found.is_above(low * 0.999)
            assert not found.is_above(low * 1.001)


def test_streams_count_and_never_gaps() -> None:
    """One bad stream in twenty widens the interval: that of the p99 spans both kinds of stream."""
    lengths = [20] * 1900 + [900] * 100
    owners = [number for number in range(20) for _ in range(100)]

    assert GapPercentiles(lengths, owners).interval(99) == (20, 900)


def test_equal_gaps_have_no_order() -> None:
    """Gaps of equal length are beyond a bound together, whichever stream comes first."""
    lengths, owners = [20] * 950 + [25] * 50, [number % 20 for number in range(1000)]

    mixed = GapPercentiles(lengths, owners).interval(90)
    gathered = GapPercentiles(lengths, sorted(owners)).interval(50)

    assert mixed in {(20, 20), (20, 25)}
    assert gathered == (20, 20)


def test_few_streams_have_no_interval() -> None:
    """Nine streams leave the interval of a median open, ten do not."""
    for count, high in ((9, math.inf), (10, 20 * MS)):
        made = Made()
        for _ in range(count):
            made.stream(0, [100, 120])

        found = Estimates(frozenset(), {}).of(PhaseSamples("x", 1.0, (), {}, made.streams().gaps, {}, {}), "itl_p50")

        assert (found.value, found.high) == (20 * MS, high)


def test_a_mean_with_one_never_is_never() -> None:
    """One value that was never reached is enough to know that the mean is not finite."""
    found = estimators.of_values([*[1.0] * 40, math.inf], "mean")

    assert (found.value, found.low, found.high) == (math.inf, math.inf, math.inf)


def test_ends_between_ranks_are_finite_where_the_exact_ones_are() -> None:
    """A comparison has an open end with 71 values of a p95, and none with 72, as an interval of one sample has."""
    for count in (71, 72):
        found = estimators.of_values([float(value) for value in range(count)], "p95")
        assert found.near is not None

        assert math.isinf(found.near[1]) == math.isinf(found.high) == (count == 71)
        assert found.low <= found.near[0] <= found.near[1] <= found.high


def test_differences_and_ratios() -> None:
    """Known values have a known difference and ratio; of independent ones the variances add up; never is open."""
    two, three, never = Bounded(2, 2, 2), Bounded(3, 3, 3), Bounded(math.inf, 5, math.inf)

    assert mover.difference_interval(three, two) == (1, 1)
    assert mover.ratio_interval(three, two) == (1.5, 1.5)
    assert mover.difference_interval(Bounded(10, 7, 13), Bounded(6, 2, 10)) == (4 - 5, 4 + 5)
    assert mover.ratio_interval(never, two) == (2.5, math.inf)
    assert mover.difference_interval(never, two) == (3, math.inf)
    assert mover.ratio_interval(Bounded(0, 0, 1), two) == (0, 0.5)
    assert mover.ratio_interval(two, Bounded(2, 0, math.inf)) == (0, math.inf)


def test_a_ratio_has_fiellers_interval() -> None:
    """Where both intervals are symmetrical the ratio has Fieller's, known from bioassay, to nine digits."""
    value, reference, one, other = 10.0, 4.0, 1.5, 0.8
    low, high = mover.ratio_interval(
        Bounded(value, value - one, value + one), Bounded(reference, reference - other, reference + other)
    )

    middle, scale = value * reference, reference**2 - other**2
    root = math.sqrt(middle**2 - scale * (value**2 - one**2))
    assert (low, high) == pytest.approx(((middle - root) / scale, (middle + root) / scale), rel=1e-9)


def test_a_wide_reference_is_no_singularity() -> None:
    """The lower end of a ratio falls steadily while the reference's upper end passes twice its value."""
    found = [
        mover.ratio_interval(Bounded(10, 8, 12), Bounded(5, 4, 5 + wider))[0] for wider in (4, 4.999999999999, 5, 6, 90)
    ]

    assert all(before >= after - 1e-6 for before, after in pairwise(found))
    assert found[-1] > 0
