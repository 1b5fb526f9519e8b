"""Exact binomial intervals, against exact sums."""

from __future__ import annotations

from fractions import Fraction
from math import comb

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
