"""Finds where a series of runs changes its level: weighted CUSUM of normal scores, with a permutation test.

The statistic is the largest cut of the series into two: C(k)^2 / (W(k) (1 - W(k))), C the cumulated weighted scores and
W the share of the weights before the cut, which is the two-sample t statistic made monotone (Csorgo and Horvath, Limit
Theorems in Change-Point Analysis, 1997, 2.1). Scores are normal quantiles of ranks (van der Waerden): as sharp as means
where the noise is normal, indifferent to outliers, and "never" is the largest. A run's score and weight are permuted
together (fixed seed), so that the test holds for any distribution. Found parts are searched again (binary
segmentation, Vostrikova 1981), each with the whole error rate: of series without a change `alpha` are flagged.

Rules: a state has at least `LEAST` runs, so one bad run is no change; a weight is 1 / (variance between runs + that of
the run's own interval), by DerSimonian and Laird (1986), so that a run of few streams does not pull a state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from chaoskit.seed import derive

LEAST = 3
"""Runs of a state."""
ALPHA = 0.05
"""How often a series without a change is flagged."""
_PERMUTATIONS = 1999
_PER_ALPHA = 20  # permutations for each 1 / alpha, so that a p-value below it is known well
_BLOCK = 1 << 22  # numbers permuted at a time

Floats = NDArray[np.float64]


def change_points(values: Sequence[float], weights: Sequence[float], alpha: float = ALPHA) -> tuple[int, ...]:
    """The first run of each new state, ascending; none where all runs may be of one state. Values may be infinite."""
    found: list[int] = []
    parts = [(0, len(values))]
    while parts:
        begin, end = parts.pop()
        cut = _cut(np.asarray(values[begin:end], float), np.asarray(weights[begin:end], float), alpha)
        if cut is not None:
            found.append(begin + cut)
            parts += [(begin, begin + cut), (begin + cut, end)]
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


def _cut(values: Floats, weights: Floats, alpha: float) -> int | None:
    """Where two states are parted, if there are two."""
    count = len(values)
    if count < 2 * LEAST:
        return None
    scores = _normal_scores(values)
    if not scores.any():  # all values are equal
        return None
    observed = _statistics(scores[None, :], weights[None, :])[0]
    largest = observed.max()
    wanted = max(_PERMUTATIONS, math.ceil(_PER_ALPHA / alpha) - 1)
    as_large = sum(int((each >= largest * (1 - 1e-9)).sum()) for each in _permuted(scores, weights, wanted))
    return LEAST + int(observed.argmax()) if (as_large + 1) / (wanted + 1) <= alpha else None


def _permuted(scores: Floats, weights: Floats, wanted: int) -> Iterator[Floats]:
    """The largest statistic of each of so many permutations, in blocks."""
    generator = np.random.default_rng(derive(0, "change-points"))
    block = max(1, _BLOCK // len(scores))
    for first in range(0, wanted, block):
        orders = np.tile(np.arange(len(scores)), (min(block, wanted - first), 1))
        orders = generator.permuted(orders, axis=1)
        yield _statistics(scores[orders], weights[orders]).max(axis=1)


def _statistics(scores: Floats, weights: Floats) -> Floats:
    """The statistic of every admissible cut of each row."""
    sums = weights.cumsum(axis=1)
    share = sums[:, LEAST - 1 : -LEAST] / sums[:, -1:]
    mean = (weights * scores).sum(axis=1, keepdims=True) / sums[:, -1:]
    drift = (weights * (scores - mean)).cumsum(axis=1)[:, LEAST - 1 : -LEAST]
    return np.asarray(drift**2 / (share * (1 - share)))


def _normal_scores(values: Floats) -> Floats:
    """The normal quantile of each rank; equal values have the mean of their ranks."""
    order, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = counts.cumsum() - (counts - 1) / 2
    quantile = NormalDist().inv_cdf
    scores = np.array([quantile(rank / (len(values) + 1)) for rank in ranks])
    return scores[inverse] if len(order) > 1 else np.zeros(len(values))
