"""Finds where a series of runs changes its level, by cuts into states and a permutation test.

The statistic is how much of the weighted squares of the scores the states explain: for one cut the CUSUM statistic
C(k)^2 / (W(k) (1 - W(k))) (Csorgo and Horvath, Limit Theorems in Change-Point Analysis, 1997, 2.1), for two and three
cuts the optimum by dynamic programming, which finds what became better again. Scores are normal quantiles of ranks
(van der Waerden): as sharp as means where the noise is normal, indifferent to outliers, and "never" is the largest. A
run's score and weight are permuted together (fixed seed), so that the test holds for any distribution. Found parts are
searched again (binary segmentation, Vostrikova 1981) and share the error rate: of series without a change a share of
`alpha` is flagged, and of series with some in no more a change is found that is none.

Rules: a state has at least `LEAST` runs, so one bad run is no change; a weight is 1 / (variance between runs + that of
the run's own interval), by DerSimonian and Laird (1986), so that a run of few streams does not pull a state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from chaoskit.seed import derive

LEAST = 3
"""Runs of a state."""
FEWEST = 8
"""Runs that can show a change at all: of the orders of seven too many are as clear."""
ALPHA = 0.05
"""How often a series without a change is flagged."""
MOST = 200
"""The newest runs that are searched; the time grows with the square of their number."""
_SHARES = {1: 0.9, 2: 0.06, 3: 0.04}
"""How the error rate is divided: most of it to one cut, the usual case."""
_PERMUTATIONS = 1999
_EXPECTED = 10  # permutations that are as clear at the error rate, at least, so that a p-value is known well enough
_BLOCK, _LARGEST_BLOCK = 25, 200  # permutations at a time: few at first, for most series need no more

Floats = NDArray[np.float64]


def change_points(values: Sequence[float], weights: Sequence[float], alpha: float = ALPHA) -> tuple[int, ...]:
    """The first run of each new state, ascending; none where all runs may be of one state. Values may be infinite."""
    found: list[int] = []
    parts = [(max(0, len(values) - MOST), len(values), alpha)]
    while parts:
        begin, end, rate = parts.pop()
        cuts = _cuts(np.asarray(values[begin:end], float), np.asarray(weights[begin:end], float), rate)
        if cuts:
            edges = [begin, *(begin + cut for cut in cuts), end]
            found += edges[1:-1]
            parts += [(*part, rate / (len(cuts) + 1)) for part in pairwise(edges)]
    return tuple(sorted(found))


def weights_of(variances: Sequence[float | None], counts: Sequence[int], values: Sequence[float]) -> Floats:
    """The weight of each run: from the variance of its value by its own interval, else by its count of streams.

    Without an interval a run of the median count is taken to vary half by its streams and half as runs do.
    """
    known = np.array([math.nan if each is None else each for each in variances])
    finite = np.asarray(values, float)
    if len(known) and np.isfinite(known).all() and np.isfinite(finite).all() and (known > 0).all():
        fixed = 1 / known
        mean = float((fixed * finite).sum() / fixed.sum())
        excess = float((fixed * (finite - mean) ** 2).sum()) - (len(known) - 1)
        scale = float(fixed.sum() - (fixed**2).sum() / fixed.sum())
        between = max(0.0, excess / scale) if scale > 0 else 0.0
        return np.asarray(1 / (between + known))
    streams = np.maximum(1, np.asarray(counts, float))
    middle = float(np.median(streams)) if len(streams) else 1.0
    return np.asarray(2 / (1 + middle / streams))


def _cuts(values: Floats, weights: Floats, alpha: float) -> tuple[int, ...]:
    """Where the states are parted: by as few cuts as are significant."""
    scores = _normal_scores(values)
    if not scores.any():  # all values are equal, or there are none
        return ()
    for count, share in _SHARES.items():
        if len(values) >= (count + 1) * LEAST and _is_significant(scores, weights, count, alpha * share):
            return _best_cuts(scores, weights, count)
    return ()


def _is_significant(scores: Floats, weights: Floats, count: int, alpha: float) -> bool:
    """Whether at most a share of `alpha` of permutations is explained as well by so many cuts."""
    observed = _explained(scores[None, :], weights[None, :], count)[-1][0, -1]
    wanted = max(_PERMUTATIONS, math.ceil(_EXPECTED / alpha) - 1)
    as_clear = 0
    for orders in _permutations(len(scores), wanted):
        found = _explained(scores[orders], weights[orders], count)[-1][:, -1]
        as_clear += int((found >= observed * (1 - 1e-9)).sum())
        if (as_clear + 1) / (wanted + 1) > alpha:  # whatever the others are
            return False
    return True


def _permutations(length: int, wanted: int) -> Iterator[NDArray[np.intp]]:
    generator = np.random.default_rng(derive(0, "change-points"))
    made, block = 0, _BLOCK
    while made < wanted:
        block = min(block, wanted - made)
        yield generator.permuted(np.tile(np.arange(length), (block, 1)), axis=1)
        made, block = made + block, min(2 * block, _LARGEST_BLOCK)


def _explained(scores: Floats, weights: Floats, count: int) -> list[Floats]:
    """For 0 to `count` cuts of each row's first j runs: the most that the states explain; the last one for all runs."""
    sums, products = _cumulated(weights), _cumulated(weights * scores)
    length = scores.shape[1]
    best = np.full(sums.shape, -np.inf)
    best[:, LEAST:] = products[:, LEAST:] ** 2 / sums[:, LEAST:]
    found = [best]
    for number in range(1, count + 1):
        best = np.full(sums.shape, -np.inf)
        for end in range((number + 1) * LEAST if number < count else length, length + 1):
            before = slice(number * LEAST, end - LEAST + 1)
            last = (products[:, end : end + 1] - products[:, before]) ** 2 / (sums[:, end : end + 1] - sums[:, before])
            best[:, end] = (found[-1][:, before] + last).max(axis=1)
        found.append(best)
    return found


def _best_cuts(scores: Floats, weights: Floats, count: int) -> tuple[int, ...]:
    """The cuts of the optimum, ascending."""
    sums, products = _cumulated(weights[None, :])[0], _cumulated((weights * scores)[None, :])[0]
    best = _explained(scores[None, :], weights[None, :], count)
    cuts: list[int] = []
    end = len(scores)
    for number in range(count, 0, -1):
        places = range(number * LEAST, end - LEAST + 1)
        gains = [
            best[number - 1][0, at] + (products[end] - products[at]) ** 2 / (sums[end] - sums[at]) for at in places
        ]
        end = places[int(np.argmax(gains))]
        cuts.insert(0, end)
    return tuple(cuts)


def _cumulated(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), values.cumsum(axis=1)], axis=1)


def _normal_scores(values: Floats) -> Floats:
    """The normal quantile of each rank; equal values have the mean of their ranks."""
    order, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = counts.cumsum() - (counts - 1) / 2
    quantile = NormalDist().inv_cdf
    scores = np.array([quantile(rank / (len(values) + 1)) for rank in ranks])
    return scores[inverse] if len(order) > 1 else np.zeros(len(values))
