"""Computes exact 95 % intervals, and the sizes of samples that bound a rate or a share.

| of              | interval                                                                              |
|-----------------|---------------------------------------------------------------------------------------|
| a share         | Clopper and Pearson, Biometrika 26 (1934)                                             |
| a quantile      | between two order statistics (David and Nagaraja, Order Statistics, 7.1); where the   |
|                 | sample is too small to bound it from above, the upper end is infinite                 |
| a rate of       | Garwood, Biometrika 28 (1936)                                                         |
| nothing seen    |                                                                                       |

Incomplete beta function: the continued fraction of Numerical Recipes, 6.4, by Lentz's method.
"""

from __future__ import annotations

import math
from collections.abc import Callable

TAIL = 0.025  # of each side
_TINY = 1e-300


def binomial_cdf(k: int, n: int, share: float) -> float:
    """P(X <= k) for X binomial of n trials."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return _incomplete_beta(n - k, k + 1, 1 - share)


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """The Clopper-Pearson interval of a share after k of n."""
    low = 0.0 if k == 0 else _solve(lambda p: 1 - binomial_cdf(k - 1, n, p) - TAIL)
    high = 1.0 if k == n else _solve(lambda p: TAIL - binomial_cdf(k, n, p))
    return low, high


def excludes(k: int, n: int, share: float) -> bool:
    """Whether the interval after k of n excludes `share`, without computing the interval."""
    return binomial_cdf(k, n, share) <= TAIL or 1 - binomial_cdf(k - 1, n, share) <= TAIL


def order_statistic_ranks(percent: int, n: int) -> tuple[int, int]:
    """The ranks (from 1) of the order statistics that bound a percentile; 0 and n + 1 mean unbounded."""
    part = percent / 100
    low = _first(lambda rank: binomial_cdf(rank, n, part) > TAIL, n)
    high = _first(lambda rank: 1 - binomial_cdf(rank - 1, n, part) <= TAIL, n + 1)
    return low, high


def min_samples(tail: float) -> int:
    """How many values an upper bound of the quantile takes that leaves `tail` beyond it (p95: 72)."""
    return math.ceil(math.log(TAIL) / math.log1p(-tail))


def most_unseen(exposure: float) -> float:
    """The upper end of a Poisson rate of which nothing was seen in `exposure`."""
    return -math.log(TAIL) / exposure


def exposure_to_exclude(rate: float) -> float:
    """How much exposure without an event bounds its rate by `rate`, which is above 0."""
    return -math.log(TAIL) / rate


def _first(is_true: Callable[[int], bool], last: int) -> int:
    """The first number from 0 to `last` for which it holds; it is assumed to hold for `last`."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        if is_true(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            result *= c * d
        if abs(c * d - 1) < 1e-14:
            return result
    return result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
