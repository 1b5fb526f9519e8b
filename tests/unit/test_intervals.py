"""Exact binomial intervals, against exact sums."""

from __future__ import annotations

from fractions import Fraction
from math import comb, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit import intervals

SHARES = [i / 40 for i in range(1, 40)]


def exact_binomial_cdf(k: int, n: int, share: Fraction) -> float:
    """The binomial distribution function, in exact fractions."""
    return float(sum(comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k + 1)))


@given(st.integers(1, 60), st.data())
def test_the_distribution_function_is_exact(n: int, data: st.DataObject) -> None:
    """P(X <= k) agrees with the sum of exact fractions to twelve digits."""
    k = data.draw(st.integers(0, n))
    share = Fraction(data.draw(st.integers(1, 999)), 1000)

    assert intervals.binomial_cdf(k, n, float(share)) == pytest.approx(exact_binomial_cdf(k, n, share), abs=1e-12)


@pytest.mark.parametrize("n", [1, 5, 20, 60])
def test_a_share_is_covered_at_least_95_times_in_100(n: int) -> None:
    """For any true share, the interval misses it on either side at most 2.5 times in 100."""
    ends = [intervals.clopper_pearson(k, n) for k in range(n + 1)]
    for share in SHARES:
        chance = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]

        assert sum(c for c, (low, _) in zip(chance, ends, strict=True) if low > share) <= 0.025 + 1e-9
        assert sum(c for c, (_, high) in zip(chance, ends, strict=True) if high < share) <= 0.025 + 1e-9


@given(st.integers(1, 80), st.data())
def test_excludes_agrees_with_the_interval(n: int, data: st.DataObject) -> None:
    """The test of exclusion agrees with the interval."""
    k, share = data.draw(st.integers(0, n)), data.draw(st.integers(1, 999)) / 1000
    low, high = intervals.clopper_pearson(k, n)

    assert intervals.excludes(k, n, share) == (share < low or share > high)


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
@pytest.mark.parametrize("n", [1, 10, 71, 72, 400])
def test_a_quantile_lies_between_its_ranks(percent: int, n: int) -> None:
    """The order statistics around a quantile miss it at most 2.5 times in 100, and one rank nearer would not do."""
    low, high = intervals.order_statistic_ranks(percent, n)
    part = Fraction(percent, 100)

    assert low == 0 or exact_binomial_cdf(low - 1, n, part) <= 0.025
    assert exact_binomial_cdf(low, n, part) > 0.025
    assert high == n + 1 or 1 - exact_binomial_cdf(high - 1, n, part) <= 0.025
    assert 1 - exact_binomial_cdf(high - 2, n, part) > 0.025


def test_72_streams_bound_a_p95_and_368_a_p99() -> None:
    """The smallest samples that bound a quantile from above are those of the exact formula."""
    assert intervals.min_samples(0.05) == 72
    assert intervals.min_samples(0.01) == 368
    assert intervals.order_statistic_ranks(95, 71)[1] == 72
    assert intervals.order_statistic_ranks(95, 72)[1] == 72


def test_known_values() -> None:
    """The interval of 4 in 20 is that of published tables."""
    low, high = intervals.clopper_pearson(4, 20)

    assert (round(low, 4), round(high, 4)) == (0.0573, 0.4366)
    assert intervals.clopper_pearson(0, 10)[0] == 0
    assert intervals.clopper_pearson(10, 10)[1] == 1


@pytest.mark.parametrize("shape", [0.3, 1, 3.7, 20, 400, 5000, 2e5])
@pytest.mark.parametrize("share", [0.025, 0.975])
def test_a_gamma_quantile_is_that_of_its_distribution(shape: float, share: float) -> None:
    """The distribution function of the quantile is the share; of shape 1 it is the exponential distribution's."""
    assert intervals.gamma_cdf(intervals.gamma_quantile(share, shape), shape) == pytest.approx(share, abs=1e-9)
    assert intervals.gamma_quantile(share, 1) == pytest.approx(-log(1 - share), rel=1e-9)


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39), (50, 37.11, 65.92)]
)
def test_poisson_intervals_are_those_of_the_tables(count: int, low: float, high: float) -> None:
    """Garwood's ends, as published."""
    assert intervals.garwood(count) == pytest.approx((low, high), rel=1e-3)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (2, 4.303), (9, 2.262), (19, 2.093), (120, 1.980), (10**6, 1.960)]
)
def test_students_t_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    """The two-sided 95 % quantile, as published."""
    assert intervals.student(freedom) == pytest.approx(quantile, abs=5e-4)


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
@pytest.mark.parametrize("n", [5, 6, 10, 71, 72, 400])
def test_ranks_between_ranks_lie_within_the_exact_ones(percent: int, n: int) -> None:
    """They are less than one rank nearer to the percentile than the exact ones, and unbounded where these are."""
    low, high = intervals.interpolated_ranks(percent, n)
    exact_low, exact_high = intervals.order_statistic_ranks(percent, n)

    assert exact_low <= low < exact_low + 1
    assert (high == inf) if exact_high > n else (exact_high - 1 < high <= exact_high)


def test_wilsons_interval_is_that_of_the_literature() -> None:
    """15 of 148: 0.0624 to 0.1605 (Newcombe, Statistics in Medicine 17 (1998), method 3)."""
    assert intervals.wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@pytest.mark.parametrize(("k", "n", "tail"), [(1, 67_175, 1e-6), (1, 1, 1e-6), (67_174, 67_175, 1e-6), (3, 40, 0.2)])
def test_an_end_leaves_its_tail(k: int, n: int, tail: float) -> None:
    """Also where it is nearly 0 or 1, and the distribution function is flat nearly everywhere."""
    low, high = intervals.clopper_pearson(k, n, tail)

    assert 1 - intervals.binomial_cdf(k - 1, n, low) == pytest.approx(tail, rel=1e-4)
    assert high == 1 or intervals.binomial_cdf(k, n, high) == pytest.approx(tail, rel=1e-4)
