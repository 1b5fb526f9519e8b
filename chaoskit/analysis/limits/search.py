"""Chooses the doses of the next runs, and says when enough is known.

Each next dose is the one after whose run the least is expected to be left unknown of the limit: the expected entropy of
its distribution is smallest (psi-marginal: see `dose_response`). Of several runs at a time each dose allows for every
outcome of those before it. What is chosen follows from the outcomes alone, in the order in which the runs were chosen.

A search ends

- when the 95 % interval of the limit is at most as wide as the asked precision,
- when the interval lies wholly beyond an end of the range: the limit is there,
- after the most runs that are allowed.

Where the limit lies below the hard end, a run there has to break as well before the search ends: where outcomes are not
monotone, nothing else would show it (see `reversal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chaoskit.analysis.limits.dose_response import DoseResponse, Floats, Trial
from chaoskit.analysis.limits.reversal import is_reversed

Where = Literal["inside", "above", "below", "open"]

_CANDIDATES = 25
_BRANCHES = 8
"""Combinations of outcomes of the runs chosen before that are allowed for; the most likely ones."""
_TAIL = 0.02
_MOST_AT_THE_HARD_END = 5
_EXPECTED = 0.1
"""The probability that a run at the hard end holds, from which on it would be no surprise."""
_TINY = 1e-300


@dataclass(frozen=True)
class Search:
    """What is asked: the width of the interval as a part of the range, and the `doses` that a run may have."""

    precision: float
    doses: tuple[float, ...]

    def learned(self, trials: Sequence[Trial]) -> DoseResponse:
        """What these runs tell of the limit."""
        found = DoseResponse.before(self.precision)
        for trial in trials:
            found = found.after(trial.dose, trial.held)
        return found

    def where(self, found: DoseResponse) -> Where:
        """Where the limit lies: beyond the hard end (`above`), before the easy end (`below`), known as asked, or open.

        An objective that a run at the easy end breaks has its limit `below`.
        """
        low, high = found.interval()
        if high <= 0:
            return "below"
        if low >= 1:
            return "above"
        return "inside" if high - low <= self.precision else "open"

    def is_over(self, found: DoseResponse, trials: Sequence[Trial]) -> bool:
        """Whether no more runs are needed."""
        return self.where(found) != "open" and not self._may_hold_again(found, trials)

    def _may_hold_again(self, found: DoseResponse, trials: Sequence[Trial]) -> bool:
        """Whether it is open if a run at the hard end breaks, as the others tell: none was made, or as many held."""
        if self.where(found) == "above":
            return False
        made = [trial.held for trial in trials if trial.dose == self.doses[-1]]
        if not made:
            return found.chance(self.doses[-1]) < _EXPECTED
        is_open = 2 * sum(made) >= len(made) and len(made) < _MOST_AT_THE_HARD_END
        return is_open and not is_reversed(trials)

    def next_doses(self, found: DoseResponse, count: int, is_first: bool = False) -> list[float]:
        """The doses of the next `count` runs, which are made at the same time; the very first is at the easy end.

        Where the limit is known already, it is one run at the hard end.
        """
        if self.where(found) != "open":
            return [self.doses[-1]]
        candidates = self._candidates(found)
        holds = found.probability(candidates)
        branches = [(1.0, found)]
        chosen: list[float] = []
        while len(chosen) < count:
            left = sum(chance * _expected_entropy(branch, holds) for chance, branch in branches)
            is_easy = is_first and not chosen
            chosen.append(self.doses[0] if is_easy else float(candidates[int(np.argmin(left))]))
            branches = _branched(branches, chosen[-1])
        return chosen

    def _candidates(self, found: DoseResponse) -> Floats:
        """Doses that may tell something: where the limit may be, and somewhat beyond, evenly."""
        doses = np.array(self.doses)
        low, high = found.quantile(_TAIL), found.quantile(1 - _TAIL)
        margin = (high - low) / 2
        first = max(0, int(np.searchsorted(doses, low - margin)) - 1)
        last = min(len(doses) - 1, int(np.searchsorted(doses, high + margin)))
        first = min(first, last)
        places = np.unique(np.round(np.linspace(first, last, _CANDIDATES)).astype(int))
        return np.asarray(doses[places])


def _expected_entropy(found: DoseResponse, holds: Floats) -> Floats:
    """Of the limit's distribution after a run at each dose; `holds`: their probabilities, as of `probability`."""
    held = np.einsum("xlw,lw->xl", holds, found.weights)
    broke = np.maximum(found.marginal - held, 0)
    return _entropy(held) + _entropy(broke)


def _entropy(joint: Floats) -> Floats:
    """Of each row, times the probability of the row, which is its sum."""
    total = joint.sum(axis=1)
    return np.asarray(total * np.log(np.maximum(total, _TINY)) - (joint * np.log(np.maximum(joint, _TINY))).sum(axis=1))


def _branched(branches: Sequence[tuple[float, DoseResponse]], dose: float) -> list[tuple[float, DoseResponse]]:
    """What may be known after a run at this dose, and how likely that is; the likeliest ones."""
    found = []
    for chance, branch in branches:
        share = branch.chance(dose)
        found += [(chance * share, branch.after(dose, True)), (chance * (1 - share), branch.after(dose, False))]
    return sorted(found, key=lambda each: -each[0])[:_BRANCHES]
