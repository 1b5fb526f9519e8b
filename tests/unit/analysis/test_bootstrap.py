"""Resampling by stream: repeatable, unbounded where the sample is too small, equal to a simple implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_runs import MS, Made

from chaoskit import intervals
from chaoskit.analysis.statistics import bootstrap
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.streams.phase_samples import PhaseSamples


def test_resampled_quantiles_agree_with_exact_ranks() -> None:
    """The middle 95 % of the resamples of a p90 end where the exact order statistics do, to within a rank."""
    values = [float(value) for value in range(1, 201)]

    low, high = bootstrap.resample_quantile(values, 90, seed=1).interval

    exact = intervals.order_statistic_ranks(90, 200)
    assert abs(low - exact[0]) <= 1
    assert abs(high - exact[1]) <= 1


def test_a_small_sample_does_not_bound_its_own_tail() -> None:
    """Forty first tokens do not bound a p99: the upper end is open."""
    low, high = bootstrap.resample_quantile([float(value) for value in range(40)], 99, seed=1).interval

    assert high == math.inf
    assert math.isfinite(low)


def test_no_event_still_has_an_upper_bound_above_zero() -> None:
    """No stall in a sample of 100 leaves room for three or four in the next."""
    low, high = bootstrap.resample_ratio([0] * 100, [1] * 100, exposure=100, seed=1).interval

    assert low == 0
    assert high == pytest.approx(-math.log(0.025) / 100, rel=0.15)


def test_resampled_shares_have_the_exact_interval() -> None:
    """The resamples of a share end where Clopper's and Pearson's interval does."""
    for hits in (0, 3, 20):
        drawn, exact = bootstrap.resample_share(hits, 20, seed=1).interval, intervals.clopper_pearson(hits, 20)

        assert drawn == pytest.approx(exact, abs=0.02)


def test_rates_have_garwoods_interval() -> None:
    """Ten in five seconds is a rate between one and nearly four: Garwood's interval."""
    assert bootstrap.resample_rate(10, 5, seed=1).interval == pytest.approx((4.795 / 5, 18.39 / 5), rel=0.04)
    assert bootstrap.resample_rate(0, 5, seed=1).interval[0] == 0


def test_gaps_are_drawn_with_their_stream() -> None:
    """A percentile of gaps resampled by weights has the distribution of whole streams drawn and sorted anew."""
    random = np.random.default_rng(7)
    streams = [list(random.exponential(20, random.integers(1, 30)) * random.uniform(0.5, 3)) for _ in range(25)]
    lengths = [length for stream in streams for length in stream]
    owners = [number for number, stream in enumerate(streams) for _ in stream]

    (fast,) = bootstrap.resample_gap_percentiles(lengths, owners, [90], seed=1)

    chosen = random.integers(0, len(streams), (1000, len(streams)))
    slow = [np.percentile(np.concatenate([streams[i] for i in row]), 90, method="inverted_cdf") for row in chosen]
    assert np.median(fast.low) == pytest.approx(np.median(slow), rel=0.05)
    assert np.std(fast.low) == pytest.approx(np.std(slow), rel=0.15)


def test_few_streams_have_no_interval() -> None:
    """Nine streams leave the interval open, ten do not."""
    for count, high in ((9, math.inf), (10, 20 * MS)):
        made = Made()
        for _ in range(count):
            made.stream(0, [100, 120])

        found = Estimates(1, frozenset(), {}).of(PhaseSamples("x", 1.0, (), {}, made.streams().gaps, {}, {}), "itl_p50")

        assert (found.value, found.high) == (20 * MS, high)


def test_streams_are_resampled_and_never_gaps() -> None:
    """One bad stream in twenty widens the interval: that of the p99 spans both kinds of stream."""
    lengths = [20.0] * 1900 + [900.0] * 100
    owners = [number for number in range(20) for _ in range(100)]

    (draws,) = bootstrap.resample_gap_percentiles(lengths, owners, [99], seed=1)

    assert draws.interval == (20, 900)


def test_resamples_come_from_the_seed() -> None:
    """The same seed gives the same interval, another seed another one."""
    values = [float(value**2) for value in range(50)]

    assert bootstrap.resample_mean(values, 1).interval == bootstrap.resample_mean(values, 1).interval
    assert bootstrap.resample_mean(values, 1).interval != bootstrap.resample_mean(values, 2).interval


def test_differences_and_ratios() -> None:
    """Two known values differ by a known amount; two that are never, or a division by 0, leave it open."""
    two, three = bootstrap.resample_mean([2.0] * 20, 1), bootstrap.resample_mean([3.0] * 20, 2)
    never, zero = bootstrap.resample_mean([math.inf] * 20, 3), bootstrap.resample_mean([0.0] * 20, 4)

    assert bootstrap.difference_interval(three, two) == (1, 1)
    assert bootstrap.ratio_interval(three, two) == (1.5, 1.5)
    assert bootstrap.difference_interval(never, never) == (-math.inf, math.inf)
    assert bootstrap.ratio_interval(never, never) == (0, math.inf)
    assert bootstrap.ratio_interval(zero, zero) == (0, math.inf)
    assert bootstrap.difference_interval(two, never) == (-math.inf, -math.inf)


def test_an_estimate_does_not_depend_on_earlier_ones() -> None:
    """Estimates are the same in any order of computation."""
    made = Made()
    for n in range(12):
        made.stream(0, [sum(20 + n * k for k in range(count)) for count in range(10)])
    part = PhaseSamples("x", 1.0, (), {}, made.streams().gaps, {}, {})

    one, other = Estimates(1, frozenset(), {}), Estimates(1, frozenset(), {})
    other.of(part, "itl_p99")

    assert one.of(part, "itl_p50").scaled() == other.of(part, "itl_p50").scaled()
