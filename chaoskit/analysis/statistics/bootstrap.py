"""What else the numbers could have been: guesses at the true values, resampled by stream, never by gap.

Rules: gaps of one stream are not independent, so a resample draws whole streams. Where a sample cannot tell
(no stall at all, a p99 of forty values) its own resamples would all agree and claim to be sure; `low` and
`high` then lean to either side, as the exact binomial intervals do, so that no comparison claims more.
Every draw comes from the seed that is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.statistics.quantiles import rank

DRAWS = 2000
_GAP_DRAWS = 1000
_AT_ONCE = 1_000_000  # drawn numbers held in memory at a time
_CELLS = 4_000_000  # of the matrix of blocks and streams, at most
_LEAST_BLOCK = 2048  # gaps

Floats = NDArray[np.float64]
Column = Sequence[float] | Sequence[int] | NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Draws:
    """Guesses at one true value, from below and from above; the same array where the sample can tell."""

    low: Floats
    high: Floats

    @property
    def interval(self) -> tuple[float, float]:
        """The middle 95 %."""
        return _percentile(self.low, 2.5), _percentile(self.high, 97.5)


def difference(value: Draws, reference: Draws) -> tuple[float, float]:
    """The 95 % interval of value - reference. Two infinities tell nothing: unbounded on that side."""
    count = min(len(value.low), len(reference.low))
    with np.errstate(invalid="ignore"):
        low = np.nan_to_num(value.low[:count] - reference.high[:count], nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        high = np.nan_to_num(value.high[:count] - reference.low[:count], nan=np.inf, posinf=np.inf, neginf=-np.inf)
    return _percentile(low, 2.5), _percentile(high, 97.5)


def ratio(value: Draws, reference: Draws) -> tuple[float, float]:
    """The 95 % interval of value / reference, for values that are never negative."""
    count = min(len(value.low), len(reference.low))
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.nan_to_num(value.low[:count] / reference.high[:count], nan=0.0, posinf=np.inf)
        high = np.nan_to_num(value.high[:count] / reference.low[:count], nan=np.inf, posinf=np.inf)
    return _percentile(low, 2.5), _percentile(high, 97.5)


def unknown(most: float) -> Draws:
    """Of something that is not negative, and about which nothing else is known."""
    return Draws(np.zeros(DRAWS), np.full(DRAWS, most))


def of_quantile(values: Sequence[float], percent: int, seed: int) -> Draws:
    """Of a percentile of independent values, sorted: how many of them lie below it is binomial.

    This is a resample's quantile made honest at the ends: beyond the largest value lies the unseen.
    """
    count = len(values)
    below = np.random.default_rng(seed).binomial(count, percent / 100, DRAWS)
    padded = np.concatenate(([0.0], np.asarray(values, dtype=float), [np.inf]))
    return Draws(padded[below], padded[below + 1])


def of_share(hits: int, count: int, seed: int) -> Draws:
    """Of a share after `hits` of `count`: the two beta distributions of Clopper and Pearson."""
    random = np.random.default_rng(seed)
    low = random.beta(hits, count - hits + 1, DRAWS) if hits else np.zeros(DRAWS)
    high = random.beta(hits + 1, count - hits, DRAWS) if hits < count else np.ones(DRAWS)
    return Draws(low, high)


def of_count(count: int, exposure: float, seed: int) -> Draws:
    """Of the rate of something that comes by chance, after `count` of it in `exposure`: Garwood's two gammas."""
    random = np.random.default_rng(seed)
    low = random.gamma(count, 1 / exposure, DRAWS) if count else np.zeros(DRAWS)
    return Draws(low, random.gamma(count + 1, 1 / exposure, DRAWS))


def of_mean(values: Sequence[float], seed: int) -> Draws:
    """Of the mean of one value per stream."""
    ones = np.ones(len(values))
    drawn = _ratios(np.asarray(values, dtype=float), ones, seed)
    return Draws(drawn, drawn)


def of_ratio(parts: Sequence[float], wholes: Sequence[float], exposure: float, seed: int) -> Draws:
    """Of sum(parts) / sum(wholes), one pair per stream.

    Nothing seen at all leaves room for a Poisson rate of one in `exposure`, the size of the sample.
    """
    if not any(parts):
        return of_count(0, exposure, seed)
    drawn = _ratios(np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float), seed)
    return Draws(drawn, drawn)


def of_gaps(lengths: Column, owners: Column, percents: Sequence[int], seed: int) -> list[Draws]:
    """Of percentiles of gaps, each owned by a stream: streams are drawn, their gaps weigh along.

    The gaps are sorted once; a resample's percentile is where the running sum of their weights reaches its rank. That
    place is found in two steps: among blocks of gaps, whose weights are a matrix product, then within one block.
    """
    owner, count = _places(np.asarray(owners))
    ordered, owner = _by_length(np.asarray(lengths), owner, count)
    del lengths
    random = np.random.default_rng(seed)
    size = max(_LEAST_BLOCK, -(-len(owner) * count // _CELLS))
    cells = _cells(owner, count, size)
    drawn = np.empty((len(percents), _GAP_DRAWS))
    step = max(1, _AT_ONCE // count)
    for first in range(0, _GAP_DRAWS, step):
        draws = min(step, _GAP_DRAWS - first)
        weights = [np.bincount(random.integers(0, count, count), minlength=count) for _ in range(draws)]
        running = np.cumsum(cells @ np.array(weights, dtype=float).T, axis=0).astype(np.int64)
        for draw, weight in enumerate(weights):
            sums = running[:, draw]
            wanted = np.array([rank(percent, int(sums[-1])) for percent in percents])
            blocks = np.searchsorted(sums, wanted)
            for block in set(blocks.tolist()):
                here, begin = blocks == block, block * size
                within = np.cumsum(weight[owner[begin : begin + size]])
                before = sums[block - 1] if block else 0
                drawn[here, first + draw] = ordered[begin + np.searchsorted(within, wanted[here] - before)]
    return [Draws(row, row) for row in drawn]


def _places(owners: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int32], int]:
    """The place of each owner among all that there are, and how many these are."""
    known = np.unique(owners)
    return np.searchsorted(known, owners).astype(np.int32), len(known)


def _by_length(lengths: Any, owner: NDArray[np.int32], count: int) -> tuple[Any, NDArray[np.int32]]:
    """Both, sorted by length. Where both fit into one number they are sorted as such: that takes half the room."""
    bits = count.bit_length()
    if lengths.dtype.kind == "i" and int(lengths.max()).bit_length() + bits < 63:
        keys = lengths.astype(np.int64)
        keys <<= bits
        keys |= owner
        keys.sort()
        owner = keys.astype(np.int32) & np.int32(2**bits - 1)
        keys >>= bits
        return keys, owner
    order = np.argsort(lengths, kind="stable")
    return lengths[order], owner[order]


def _cells(owner: NDArray[np.int32], count: int, size: int) -> Floats:
    """How many gaps of each block are whose: blocks by streams."""
    blocks = [owner[first : first + size] for first in range(0, len(owner), size)]
    return np.array([np.bincount(block, minlength=count) for block in blocks], dtype=float)


def _ratios(parts: Floats, wholes: Floats, seed: int) -> Floats:
    random, count = np.random.default_rng(seed), len(parts)
    drawn = np.empty(DRAWS)
    step = max(1, _AT_ONCE // count)
    for first in range(0, DRAWS, step):
        chosen = random.integers(0, count, (min(step, DRAWS - first), count))
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn[first : first + step] = parts[chosen].sum(axis=1) / wholes[chosen].sum(axis=1)
    return np.nan_to_num(drawn, nan=0.0, posinf=np.inf)


def _percentile(values: Floats, percent: float) -> float:
    ordered = np.sort(values)
    return float(ordered[max(0, int(np.ceil(len(ordered) * percent / 100)) - 1)])
