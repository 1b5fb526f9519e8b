"""Computes empirical distribution functions with bands, for plots.

| of                | band                                                                                       |
|-------------------|--------------------------------------------------------------------------------------------|
| one time a stream | simultaneous: Dvoretzky, Kiefer and Wolfowitz with Massart's constant (Annals of           |
|                   | Probability 18 (1990)), and for censored times from the least to the most that they can be |
| gaps              | pointwise: streams are independent, the gaps of one stream are not (`estimators.ratio`)    |

What never came counts among all, so such a curve ends below 1. What the end of the run cut off counts by Kaplan and
Meier's estimate, JASA 53 (1958).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.statistics.estimators import ratio
from chaoskit.intervals import TAIL

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Times:
    """One time for each stream: those `reached`, in any unit; how many were `never`; what the `cut` ones had waited."""

    reached: Floats
    never: int = 0
    cut: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.reached) + self.never + len(self.cut)


@dataclass(frozen=True, eq=False)
class Ecdf:
    """The share of values up to each of some points, and its band; None where it was not asked for."""

    share: Floats
    low: Floats | None = None
    high: Floats | None = None


def of_times(times: Times, points: Floats, tail: float = TAIL) -> Ecdf:
    """With a band that holds the whole curve. At least one time is needed."""
    reached = np.sort(times.reached)
    counts = np.searchsorted(reached, points, "right")
    least = counts + np.searchsorted(np.sort(times.cut), points, "right")
    half = math.sqrt(math.log(1 / tail) / (2 * times.count))
    low = np.clip(counts / times.count - half, 0, 1)
    high = np.clip(least / times.count + half, 0, 1)
    if not len(times.cut):
        return Ecdf(counts / times.count, low, high)
    values, shares = _kaplan_meier(times)
    places = np.searchsorted(values, points, "right")
    return Ecdf(np.concatenate(([0.0], shares))[places], low, high)


def _kaplan_meier(times: Times) -> tuple[Floats, Floats]:
    """The values at which the estimate grows, and the share up to each."""
    events = sorted([*((value, False) for value in times.reached), *((waited, True) for waited in times.cut)])
    values, shares, still, left = [], [], 1.0, times.count
    for value, is_cut in events:
        if not is_cut:
            still *= (left - 1) / left
            values.append(value)
            shares.append(1 - still)
        left -= 1
    return np.array(values), np.array(shares)


def of_gaps(
    lengths: NDArray[np.integer[Any]], owners: NDArray[np.integer[Any]], points: Floats, tail: float = TAIL
) -> Ecdf:
    """With a band at each point for itself; `owners` are the streams of the gaps, of which at least one is needed."""
    order = np.argsort(lengths, kind="stable")
    ordered, owner = lengths[order], np.unique(owners, return_inverse=True)[1][order]
    wholes = np.bincount(owner).astype(float)
    hits, at, found = np.zeros(len(wholes)), 0, []
    for to in np.searchsorted(ordered, points, "right").tolist():
        hits = hits + np.bincount(owner[at:to], minlength=len(wholes))
        at = to
        estimate = ratio(hits, wholes, 1.0, tail)  # type: ignore[arg-type]
        found.append((estimate.value or 0.0, estimate.low, estimate.high))
    return Ecdf(*np.array(found).T)


def points_of(values: Floats, most: int) -> Floats:
    """At most about so many points at which the distribution of these changes, more of them in its upper tail."""
    distinct = np.unique(values)
    if len(distinct) <= most:
        return distinct
    shares = np.concatenate((np.linspace(0, 1, most * 2 // 3), 1 - np.geomspace(0.1, 1 / len(values), most // 3)))
    found: Floats = np.unique(np.quantile(values, np.sort(shares), method="inverted_cdf"))
    return found
