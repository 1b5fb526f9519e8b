"""Computes exact intervals, and the sizes of samples that bound a rate or a share.

| of              | interval                                                                              |
|-----------------|---------------------------------------------------------------------------------------|
| a share         | Clopper and Pearson, Biometrika 26 (1934)                                             |
| a quantile      | between two order statistics (David and Nagaraja, Order Statistics, 7.1); where the   |
|                 | sample is too small to bound it from above, the upper end is infinite                 |
| a rate of       | Garwood, Biometrika 28 (1936)                                                         |
| nothing seen    |                                                                                       |

Each leaves the probability `tail` beyond each of its ends: 0.025 for a 95 % interval.

Incomplete beta function: the continued fraction of Numerical Recipes, 6.4, by Lentz's method. What is solved, is so by
Chandrupatla's method, Advances in Engineering Software 28 (1997), in a sixth of bisection's steps.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

TAIL = 0.025  # of each side, unless more than one look is taken
_TINY = 1e-300  # in the place of a 0 that would divide
_MOST_STEPS = 300  # some ten are usual
_NEARLY_NORMAL = 1e5  # the shape of a gamma distribution from which on Wilson's and Hilferty's cube is exact enough


def binomial_cdf(k: int, n: int, share: float) -> float:
    """P(X <= k) for X binomial of n trials."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return _incomplete_beta(n - k, k + 1, 1 - share)


def clopper_pearson(k: int, n: int, tail: float = TAIL) -> tuple[float, float]:
    """The Clopper-Pearson interval of a share after k of n."""
    low = 0.0 if k == 0 else _solve(lambda p: 1 - binomial_cdf(k - 1, n, p) - tail)
    high = 1.0 if k == n else _solve(lambda p: tail - binomial_cdf(k, n, p))
    return low, high


def excludes(k: int, n: int, share: float, tail: float = TAIL) -> bool:
    """Whether the interval after k of n excludes `share`, without computing the interval."""
    return binomial_cdf(k, n, share) <= tail or 1 - binomial_cdf(k - 1, n, share) <= tail


def order_statistic_ranks(percent: int, n: int, tail: float = TAIL) -> tuple[int, int]:
    """The ranks (from 1) of the order statistics that bound a percentile; 0 and n + 1 mean unbounded."""
    part = percent / 100
    low = _first(lambda rank: binomial_cdf(rank, n, part) > tail, n)
    high = _first(lambda rank: 1 - binomial_cdf(rank - 1, n, part) <= tail, n + 1)
    return low, high


def garwood(count: int, tail: float = TAIL) -> tuple[float, float]:
    """The interval of a Poisson distribution's mean after `count`."""
    low = gamma_quantile(tail, count) if count else 0.0
    return low, gamma_quantile(1 - tail, count + 1)


def interpolated_ranks(percent: int, n: int, tail: float = TAIL) -> tuple[float, float]:
    """Ranks between those of order statistics, each of which misses a percentile with the probability `tail`.

    Beran and Hall, JRSS B 55 (1993). 0 and infinity mean unbounded, as 0 and n + 1 in `order_statistic_ranks`.
    """
    part = percent / 100

    def is_below(at: float) -> float:
        """P(the value of this rank is below the percentile), which falls with the rank; `at` from 0 to 1."""
        rank = 1 + at * (n - 1)
        return _incomplete_beta(rank, n + 1 - rank, part)

    low = 1 + (n - 1) * _solve(lambda at: 1 - tail - is_below(at)) if is_below(0) >= 1 - tail else 0.0
    high = 1 + (n - 1) * _solve(lambda at: tail - is_below(at)) if is_below(1) <= tail else math.inf
    return low, high


def wilson(k: int, n: int, tail: float = TAIL) -> tuple[float, float]:
    """Wilson's score interval of a share after k of n, JASA 22 (1927)."""
    share, quantile = k / n, normal(tail)
    square = quantile**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = quantile * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, centre - half), min(1.0, centre + half)


@cache
def normal(tail: float) -> float:
    """The normal distribution's quantile that leaves `tail` beyond it."""
    return NormalDist().inv_cdf(1 - tail)


@cache
def student(freedom: int, tail: float = TAIL) -> float:
    """Student's t that leaves `tail` beyond it."""

    def beyond(t: float) -> float:
        return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2

    most = 1.0
    while beyond(most) > tail:
        most *= 2
    return most * _solve(lambda at: tail - beyond(most * at))


def gamma_cdf(x: float, shape: float) -> float:
    """P(X <= x) for X of a gamma distribution of scale 1."""
    if x <= 0 or shape <= 0:
        return float(shape <= 0)
    if shape > _NEARLY_NORMAL:
        return _normal_cdf(((x / shape) ** (1 / 3) - 1 + 1 / (9 * shape)) * 3 * math.sqrt(shape))
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x >= shape + 1:
        return 1 - front * _gamma_fraction(shape, x)
    return front * _gamma_series(shape, x)


def gamma_quantile(share: float, shape: float) -> float:
    """The quantile of a gamma distribution of this shape and of scale 1."""
    ninth, z = 1 / (9 * shape), NormalDist().inv_cdf(share)
    high = 2 * shape * max(0.0, 1 - ninth + z * math.sqrt(ninth)) ** 3 + 4
    return high * _solve(lambda at: gamma_cdf(at * high, shape) - share)


def min_samples(beyond: float, tail: float = TAIL) -> int:
    """How many values an upper bound of the quantile takes that leaves `beyond` beyond it (p95: 72)."""
    return math.ceil(math.log(tail) / math.log1p(-beyond))


def most_unseen(exposure: float, tail: float = TAIL) -> float:
    """The upper end of a Poisson rate of which nothing was seen in `exposure`."""
    return -math.log(tail) / exposure


def exposure_to_exclude(rate: float, tail: float = TAIL) -> float:
    """How much exposure without an event bounds its rate by `rate`, which is above 0."""
    return -math.log(tail) / rate


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
    """Where it crosses 0 between 0 and 1, by Chandrupatla's method."""
    new, other = 0.0, 1.0  # the crossing lies between the newest point and the last one on its other side
    at_new, at_other = rising(new), rising(other)
    if at_new >= 0 or at_other <= 0:
        return new if at_new >= 0 else other
    part = 0.5  # of the way from one to the other
    for _ in range(_MOST_STEPS):
        point = new + part * (other - new)
        at_point = rising(point)
        if (at_point < 0) == (at_new < 0):
            last, at_last = new, at_new
        else:
            last, at_last, other, at_other = other, at_other, new, at_new
        new, at_new = point, at_point
        least = 2 * sys.float_info.epsilon * new / abs(other - new)
        if at_new == 0 or least > 0.5:
            break
        place, rise = (new - other) / (last - other), (at_new - at_other) / (at_last - at_other)
        if rise**2 < place and (1 - rise) ** 2 < 1 - place:  # where inverse quadratic interpolation is monotone
            part = at_new / (at_other - at_new) * at_last / (at_other - at_last)
            part += (last - new) / (other - new) * at_new / (at_last - at_new) * at_other / (at_last - at_other)
            part = min(max(part, least), 1 - least)
        else:
            part = 0.5
    return new if abs(at_new) < abs(at_other) else other


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or _TINY)
    result = d
    for m in range(1, 10_000):
        at = a + 2 * m
        term = m * (b - m) * x / ((at - 1) * at)
        d = 1 / ((1 + term * d) or _TINY)
        c = (1 + term / c) or _TINY
        result *= c * d
        term = -(a + m) * (a + b + m) * x / (at * (at + 1))
        d = 1 / ((1 + term * d) or _TINY)
        c = (1 + term / c) or _TINY
        result *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return result


def _gamma_series(shape: float, x: float) -> float:
    term = total = 1 / shape
    for k in range(1, 10_000):
        term *= x / (shape + k)
        total += term
        if term < total * 1e-14:
            break
    return total


def _gamma_fraction(shape: float, x: float) -> float:
    b = x + 1 - shape
    c, d = 1 / _TINY, 1 / b
    result = d
    for k in range(1, 10_000):
        term = -k * (k - shape)
        b += 2
        d = 1 / ((term * d + b) or _TINY)
        c = (b + term / c) or _TINY
        result *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return result


def _normal_cdf(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2
