"""Estimates the limit of a dose from runs that held or broke, as a distribution on a grid.

Doses are on a scale on which the easy end of the range is 0 and the hard end is 1. A run at the dose x holds with the
probability

    P(x) = lapse + (1 - 2 lapse) / (1 + exp((x - limit) / width))

so at the limit one run in two holds. The width of the transition is unknown as well, and so is the share of lapses:
runs that end against all expectation, far below the limit or far above. The distribution of the three is kept on a grid
and updated by each run (Bayes); the interval is that of the limit alone. Source: Kontsevich and Tyler, "Bayesian
adaptive estimation of psychometric slope and threshold", Vision Research 39 (1999); with lapses: Prins, "The
psi-marginal adaptive method", Journal of Vision 13 (2013).

The grid goes beyond the range on both sides, so that "the limit lies beyond" is a possible answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95
"""How sure the interval is."""
_CREDIBLE = 0.96
"""The probability that the interval encloses. The search ends when it looks good, so a little more than `LEVEL` is
needed to hold the truth in 95 % of searches whose transition is wide: tests/bench/limit_coverage.py."""
_BEYOND = 0.5
"""How far the grid goes beyond each end of the range."""
_CELLS = 8
"""In the asked precision."""
_WIDTHS = np.geomspace(0.001, 0.3, 10)
"""From 90 % to 10 % the curve falls over 4.4 widths: from 0.4 % of the range, a step, to more than all of it."""
_LAPSES = np.array([0.001, 0.02, 0.05])
_WIDTH, _LAPSE = (each.ravel() for each in np.meshgrid(_WIDTHS, _LAPSES))
_SHAPES = np.repeat([0.8, 0.15, 0.05], len(_WIDTHS)) / len(_WIDTHS)
"""The probability of each width and lapse before the first run: most systems have few lapses, and may have some."""


@dataclass(frozen=True)
class Trial:
    """A run with an outcome: its dose on the scale of the range, and whether all objectives held."""

    dose: float
    held: bool


@dataclass(frozen=True)
class DoseResponse:
    """The distribution of the limit. `weights`: a row for each cell of `limits`, a column for each width and lapse."""

    limits: Floats
    weights: Floats

    @classmethod
    def before(cls, precision: float) -> Self:
        """That before the first run, for an interval of this width: each limit is as likely, and each width by its log.

        `precision` is a part of the range.
        """
        count = math.ceil((1 + 2 * _BEYOND) * _CELLS / precision)
        limits = -_BEYOND + (1 + 2 * _BEYOND) * (np.arange(count) + 0.5) / count
        return cls(limits, np.tile(_SHAPES / count, (count, 1)))

    def after(self, dose: float, held: bool) -> Self:
        """That after one more run."""
        (holds,) = self.probability(np.array([dose]))
        weights = self.weights * (holds if held else 1 - holds)
        return replace(self, weights=weights / weights.sum())

    def probability(self, doses: Floats) -> Floats:
        """That a run holds, for each dose, in each cell of the grid: doses x limits x shapes."""
        steps = (doses[:, None, None] - self.limits[:, None]) / _WIDTH
        return np.asarray(_LAPSE + (1 - 2 * _LAPSE) / (1 + np.exp(np.clip(steps, -60, 60))))

    def chance(self, dose: float) -> float:
        """That a run at this dose holds, by all that is known."""
        (holds,) = self.probability(np.array([dose]))
        return float((holds * self.weights).sum())

    @cached_property
    def marginal(self) -> Floats:
        """The probability of each limit, whatever the width and the lapses."""
        return np.asarray(self.weights.sum(axis=1))

    def quantile(self, share: float) -> float:
        """The limit that is not exceeded with this probability; it may lie beyond the range."""
        half = (self.limits[1] - self.limits[0]) / 2
        edges = np.concatenate(([self.limits[0] - half], self.limits + half))
        return float(np.interp(share, np.concatenate(([0.0], np.cumsum(self.marginal))), edges))

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the limit; an end may lie beyond the range."""
        tail = (1 - _CREDIBLE) / 2
        return self.quantile(tail), self.quantile(1 - tail)
