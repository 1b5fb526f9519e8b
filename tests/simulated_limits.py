"""Simulates searches for a limit that is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chaoskit.analysis.limits.dose_response import Trial
from chaoskit.analysis.limits.search import Search, Where

Curve = Callable[[float], float]
"""The probability that a run at this dose holds."""


@dataclass(frozen=True)
class Shape:
    """How the share of runs that hold falls around the limit."""

    width: float
    lapse: float = 0.0

    def curve(self, limit: float) -> Curve:
        """That with this limit."""
        return lambda dose: (
            self.lapse + (1 - 2 * self.lapse) / (1 + math.exp(max(-60.0, min(60.0, (dose - limit) / self.width))))
        )


@dataclass(frozen=True)
class Found:
    """The end of a search: the interval, where the limit lies, and how many runs it took."""

    low: float
    high: float
    where: Where
    trials: tuple[Trial, ...]

    def holds(self, limit: float) -> bool:
        """Whether the interval holds the truth."""
        return self.low <= limit <= self.high


def search_of(precision: float) -> Search:
    """A search whose doses are a fifth of the precision apart."""
    count = round(5 / precision)
    return Search(precision, tuple(number / count for number in range(count + 1)))


def simulate(search: Search, curve: Curve, seed: int, slots: int = 2, most: int = 40) -> Found:
    """One search, with so many runs at a time, and at most so many in all."""
    random = np.random.default_rng(seed)
    found = search.learned(())
    trials: list[Trial] = []
    while not search.is_over(found, trials) and len(trials) < most:
        for dose in search.next_doses(found, min(slots, most - len(trials)), is_first=not trials):
            trials.append(Trial(dose, bool(random.random() < curve(dose))))
            found = found.after(dose, trials[-1].held)
    return Found(*found.interval(), search.where(found), tuple(trials))


def grid(search: Search, curve: Curve, seed: int, most: int = 4000) -> Found:
    """The same by a grid: each dose that is one precision apart in turn, until as much is known."""
    random = np.random.default_rng(seed)
    found = search.learned(())
    trials: list[Trial] = []
    doses = np.arange(0, 1 + search.precision / 2, search.precision).tolist()
    while search.where(found) == "open" and len(trials) < most:
        for dose in doses:
            trials.append(Trial(dose, bool(random.random() < curve(dose))))
            found = found.after(dose, trials[-1].held)
    return Found(*found.interval(), search.where(found), tuple(trials))
