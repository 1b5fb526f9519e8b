"""Computes empirical distribution functions with bands, for plots.

| of                | band                                                                                       |
|-------------------|--------------------------------------------------------------------------------------------|
| one time a stream | simultaneous: Dvoretzky, Kiefer and Wolfowitz with Massart's constant (Annals of           |
|                   | Probability 18 (1990)), and for censored times from the least to the most that they can be |
| gaps              | pointwise: streams are independent, the gaps of one stream are not (`estimators.ratio`)    |
| what has groups   | pointwise: groups of streams that shared a connection stand for streams, of times as well  |

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
    """One time for each stream: those `reached`, in any unit; how many were `never`; what the `cut` ones had waited.

    `groups` are those of the reached ones, the cut ones and the others; None: the streams are independent.
    """

    reached: Floats
    never: int = 0
    cut: Floats = field(default_factory=lambda: np.empty(0))
    groups: NDArray[np.integer[Any]] | None = None

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

    @property
    def band(self) -> tuple[Floats, Floats] | None:
        """Its ends; None where it excludes nothing, as that of too few streams."""
        if self.low is None or self.high is None or not (self.low.any() or (self.high < 1).any()):
            return None
        return self.low, self.high


def of_times(times: Times, points: Floats, tail: float = TAIL) -> Ecdf:
    """With a band that holds the whole curve, or each point of it where there are groups. One time is needed."""
    low, high = _band(times, points, tail) if times.groups is None else _band_of_groups(times, points, tail)
    if not len(times.cut):
        return Ecdf(np.searchsorted(np.sort(times.reached), points, "right") / times.count, low, high)
    values, shares = _kaplan_meier(times)
    places = np.searchsorted(values, points, "right")
    return Ecdf(np.concatenate(([0.0], shares))[places], low, high)


def _band(times: Times, points: Floats, tail: float) -> tuple[Floats, Floats]:
    counts = np.searchsorted(np.sort(times.reached), points, "right")
    most = counts + np.searchsorted(np.sort(times.cut), points, "right")
    half = math.sqrt(math.log(1 / tail) / (2 * times.count))
    return np.clip(counts / times.count - half, 0, 1), np.clip(most / times.count + half, 0, 1)


def _band_of_groups(times: Times, points: Floats, tail: float) -> tuple[Floats, Floats]:
    """From the least to the most that censored times can be."""
    assert times.groups is not None
    never = np.full(times.never, math.inf)
    least = np.concatenate((times.reached, np.full(len(times.cut), math.inf), never))
    most = np.concatenate((times.reached, times.cut, never))
    together = times.count / len(np.unique(times.groups))
    low, high = (of_gaps(values, times.groups, points, tail, together) for values in (least, most))
    assert low.low is not None
    assert high.high is not None
    return low.low, high.high


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
    lengths: NDArray[Any],
    owners: NDArray[np.integer[Any]],
    points: Floats,
    tail: float = TAIL,
    together: float = 1.0,
) -> Ecdf:
    """With a band at each point for itself; `owners` are the streams of the gaps, of which at least one is needed.

    Where they are groups of streams that shared a connection, `together` is how many streams a group has.
    """
    order = np.argsort(lengths, kind="stable")
    ordered, owner = lengths[order], np.unique(owners, return_inverse=True)[1][order]
    wholes = np.bincount(owner).astype(float)
    hits, at, found = np.zeros(len(wholes)), 0, []
    for to in np.searchsorted(ordered, points, "right").tolist():
        hits = hits + np.bincount(owner[at:to], minlength=len(wholes))
        at = to
        estimate = ratio(hits, wholes, 1.0, tail, together)  # type: ignore[arg-type]
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
