"""Notices outcomes that are not monotone in the dose: it held again at a harder one.

Two explanations of the same runs are weighed by their Bayes factor (Kass and Raftery, Journal of the American
Statistical Association 90, 1995): the dose response of the search, and one that rises at a dose, whether or not it
falls at another. From 20 on that is strong evidence. Without it nothing is said: few runs prove little, and nothing is
known of doses that were not tried.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chaoskit.analysis.limits.dose_response import DoseResponse, Floats, Trial

STRONG = 20.0
_EDGES = np.linspace(0, 1, 41)
_WRONG = np.array([0.02, 0.1, 0.2])
"""The share of runs that end against what their dose makes them."""
_PRECISION = 0.05

Pairs = tuple[Floats, Floats]
_FIRST, _LAST = np.triu_indices(len(_EDGES), 2)
_A_WINDOW: Pairs = (_EDGES[_FIRST], _EDGES[_LAST])
_ONE_STEP: Pairs = (_EDGES, np.full(len(_EDGES), 2.0))
"""The doses beyond the first one."""


def is_reversed(trials: Sequence[Trial]) -> bool:
    """Whether there is strong evidence that the objectives hold again at a harder dose than one that breaks them."""
    if len({trial.held for trial in trials}) < 2:
        return False
    falls = max(_log_of_a_limit(trials), _log_of_parts(trials, _ONE_STEP, (True,)))
    rises = max(_log_of_parts(trials, _ONE_STEP, (False,)), _log_of_parts(trials, _A_WINDOW, (True, False)))
    return rises - falls > float(np.log(STRONG))


def _log_of_a_limit(trials: Sequence[Trial]) -> float:
    """The log probability of these outcomes where they have one limit, whatever it is."""
    found, total = DoseResponse.before(_PRECISION), 0.0
    for trial in trials:
        share = found.chance(trial.dose)
        total += float(np.log(share if trial.held else 1 - share))
        found = found.after(trial.dose, trial.held)
    return total


def _log_of_parts(trials: Sequence[Trial], pairs: Pairs, signs: Sequence[bool]) -> float:
    """The same where all between two doses breaks and all around holds (a sign that is true), or the reverse."""
    low, high = pairs[0][:, None], pairs[1][:, None]
    logs = np.zeros((len(signs), len(low), len(_WRONG)))
    for trial in trials:
        is_between = (low < trial.dose) & (trial.dose < high)
        for place, breaks_between in enumerate(signs):
            holds = np.where(is_between == breaks_between, _WRONG, 1 - _WRONG)
            logs[place] += np.log(holds if trial.held else 1 - holds)
    most = float(logs.max())
    return most + float(np.log(np.exp(logs - most).mean()))
