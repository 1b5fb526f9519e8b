"""Computes intervals of a difference and of a ratio from the intervals of both values (MOVER).

Each end of an interval says how far its value varies in that direction: the variances of two independent values add up
(differences: Zou and Donner, Statistics in Medicine 27 (2008); ratios: Donner and Zou, Statistical Methods in Medical
Research 21 (2012)). Taking both worst ends instead would be far wider than need be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Bounded:
    """A value with its interval. Any of them may be infinite."""

    value: float
    low: float
    high: float


def difference_interval(value: Bounded, reference: Bounded) -> tuple[float, float]:
    """The interval of value - reference, which is finite."""
    if math.isinf(value.value):
        return (-math.inf if math.isinf(reference.high) else value.low - reference.high), math.inf
    difference = value.value - reference.value
    below = math.hypot(value.value - value.low, reference.high - reference.value)
    above = math.hypot(value.high - value.value, reference.value - reference.low)
    return difference - below, difference + above


def ratio_interval(value: Bounded, reference: Bounded) -> tuple[float, float]:
    """The interval of value / reference, neither negative; the reference is above 0 and finite."""
    if math.isinf(value.value):
        return (0.0 if math.isinf(reference.high) else value.low / reference.high), math.inf
    low = 0.0 if math.isinf(reference.high) else _end(value.value, value.low, reference.value, reference.high, -1)
    if math.isinf(value.high) or reference.low <= 0:
        return low, math.inf
    return low, _end(value.value, value.high, reference.value, reference.low, 1)


def _end(value: float, end: float, reference: float, opposite: float, side: int) -> float:
    """The end of the ratio on this side, -1 or 1: of this end of the value, and the opposite one of the reference."""
    product = value * reference
    within = max(0.0, product**2 - end * opposite * (2 * value - end) * (2 * reference - opposite))
    whole = opposite * (2 * reference - opposite)
    if abs(whole) > 1e-9 * reference**2:
        return (product + side * math.sqrt(within)) / whole
    return end * (2 * value - end) / (2 * product) if product else 0.0
