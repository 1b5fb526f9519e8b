"""Resamples metrics by stream, never by gap (bootstrap), and compares two resampled metrics.

Rules: gaps of one stream are not independent, so a resample draws whole streams. Where a sample has no information
(no stall at all, a p99 of forty values) all of its resamples agree and their interval is too narrow; `low` and `high`
then differ as the exact binomial intervals do, so that no comparison claims more. Every draw comes from the given seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.statistics.quantiles import rank_of

RESAMPLES = 2000
_GAP_DRAWS = 1000
_BATCH = 1_000_000  # drawn numbers held in memory at a time
_MAX_CELLS = 4_000_000  # of the matrix of blocks and streams
_MIN_BLOCK = 2048  # gaps

Floats = NDArray[np.float64]
Column = Sequence[float] | Sequence[int] | NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Resamples:
    """Resampled values of one metric, a lower and an upper bound each; the same array where they do not differ."""

    low: Floats
    high: Floats

    @property
    def interval(self) -> tuple[float, float]:
        """The middle 95 %."""
        return _lower_end(self.low), _upper_end(self.high)


def difference_interval(value: Resamples, reference: Resamples) -> tuple[float, float]:
    """The 95 % interval of value - reference. Infinity minus infinity is unbounded on that side."""
    count = min(len(value.low), len(reference.low))
    with np.errstate(invalid="ignore"):
        low = np.nan_to_num(value.low[:count] - reference.high[:count], nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        high = np.nan_to_num(value.high[:count] - reference.low[:count], nan=np.inf, posinf=np.inf, neginf=-np.inf)
    return _lower_end(low), _upper_end(high)


def ratio_interval(value: Resamples, reference: Resamples) -> tuple[float, float]:
    """The 95 % interval of value / reference, for values that are never negative."""
    count = min(len(value.low), len(reference.low))
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.nan_to_num(value.low[:count] / reference.high[:count], nan=0.0, posinf=np.inf)
        high = np.nan_to_num(value.high[:count] / reference.low[:count], nan=np.inf, posinf=np.inf)
    return _lower_end(low), _upper_end(high)


def excludes_nothing(resamples: Resamples | None, most: float) -> bool:
    """Whether the interval is all that a metric from 0 to `most` can be."""
    return resamples is None or (resamples.interval[0] <= 0 and resamples.interval[1] >= most)


def unbounded(most: float) -> Resamples:
    """Resamples of a metric that is only known to lie between 0 and `most`."""
    return Resamples(np.zeros(RESAMPLES), np.full(RESAMPLES, most))


def resample_quantile(values: Sequence[float], percent: int, seed: int) -> Resamples:
    """Resamples of a percentile of independent, sorted values: how many of them lie below it is binomial.

    Beyond the largest value the bound is infinite, where a plain resample would repeat the largest value. The binomial
    numbers are the distribution's own quantiles in a random order, not drawn: whether an end is infinite depends on the
    number of values alone.
    """
    below = np.random.default_rng(seed).permutation(_binomial_quantiles(len(values), percent / 100))
    padded = np.concatenate(([0.0], np.asarray(values, dtype=float), [np.inf]))
    return Resamples(padded[below], padded[below + 1])


def _binomial_quantiles(count: int, share: float) -> NDArray[np.int64]:
    """The quantiles 1/n, 2/n, ... 1 of how many of `count` are below, for n resamples, ascending."""
    reach = math.ceil(
        40 + 12 * math.sqrt(count * share * (1 - share))
    )  # beyond it there is nothing in double precision
    first, last = max(0, round(count * share) - reach), min(count, round(count * share) + reach)
    below = np.arange(first, last)
    log_ratio = np.log((count - below) / (below + 1) * (share / (1 - share)))
    log_chance = np.concatenate(([0.0], np.cumsum(log_ratio)))
    chance = np.exp(log_chance - log_chance.max())
    reached = np.cumsum(chance) / chance.sum()
    wanted = np.arange(1, RESAMPLES + 1) / RESAMPLES
    return first + np.minimum(np.searchsorted(reached, wanted), last - first)


def resample_share(hits: int, count: int, seed: int) -> Resamples:
    """Resamples of a share after `hits` of `count`: the two beta distributions of Clopper and Pearson."""
    random = np.random.default_rng(seed)
    low = random.beta(hits, count - hits + 1, RESAMPLES) if hits else np.zeros(RESAMPLES)
    high = random.beta(hits + 1, count - hits, RESAMPLES) if hits < count else np.ones(RESAMPLES)
    return Resamples(low, high)


def resample_rate(count: int, exposure: float, seed: int) -> Resamples:
    """Resamples of a Poisson rate after `count` events in `exposure`: Garwood's two gamma distributions."""
    random = np.random.default_rng(seed)
    if not count:
        rest = np.maximum(np.arange(RESAMPLES)[::-1], 0.5) / RESAMPLES  # each quantile of an exponential once
        return Resamples(np.zeros(RESAMPLES), random.permutation(-np.log(rest) / exposure))
    return Resamples(random.gamma(count, 1 / exposure, RESAMPLES), random.gamma(count + 1, 1 / exposure, RESAMPLES))


def resample_sum(parts: Sequence[float], exposure: float, seed: int) -> Resamples:
    """Resamples of sum(parts) / exposure, one part for each stream, where the number of streams is random as well.

    Each stream is drawn a Poisson number of times. Where there is none it is a rate after no event.
    """
    if not parts:
        return resample_rate(0, exposure, seed)
    random, of_stream = np.random.default_rng(seed), np.asarray(parts, dtype=float)
    step = max(1, _BATCH // len(of_stream))
    sizes = [min(step, RESAMPLES - first) for first in range(0, RESAMPLES, step)]
    drawn = np.concatenate([random.poisson(1, (size, len(of_stream))) @ of_stream for size in sizes]) / exposure
    return Resamples(drawn, drawn)


def resample_mean(values: Sequence[float], seed: int) -> Resamples:
    """Resamples of the mean of one value per stream."""
    ones = np.ones(len(values))
    drawn = _ratios(np.asarray(values, dtype=float), ones, seed)
    return Resamples(drawn, drawn)


def resample_ratio(parts: Sequence[float], wholes: Sequence[float], exposure: float, seed: int) -> Resamples:
    """Resamples of sum(parts) / sum(wholes), one pair per stream.

    Where all parts are 0 it is a Poisson rate after no event in `exposure`, the size of the sample.
    """
    if not any(parts):
        return resample_rate(0, exposure, seed)
    drawn = _ratios(np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float), seed)
    return Resamples(drawn, drawn)


def resample_gap_percentiles(lengths: Column, owners: Column, percents: Sequence[int], seed: int) -> list[Resamples]:
    """Resamples of percentiles of gaps: streams are drawn, and each gap has the weight of its stream.

    The gaps are sorted once; a resample's percentile is where the running sum of their weights reaches its rank. That
    position is found in two steps: among blocks of gaps, whose weights are a matrix product, then within one block.
    """
    owner, count = _indices(np.asarray(owners))
    ordered, owner = _by_length(np.asarray(lengths), owner, count)
    del lengths
    random = np.random.default_rng(seed)
    size = max(_MIN_BLOCK, -(-len(owner) * count // _MAX_CELLS))
    cells = _cells(owner, count, size)
    drawn = np.empty((len(percents), _GAP_DRAWS))
    step = max(1, _BATCH // count)
    for first in range(0, _GAP_DRAWS, step):
        draws = min(step, _GAP_DRAWS - first)
        weights = [np.bincount(random.integers(0, count, count), minlength=count) for _ in range(draws)]
        running = np.cumsum(cells @ np.array(weights, dtype=float).T, axis=0).astype(np.int64)
        for draw, weight in enumerate(weights):
            sums = running[:, draw]
            ranks = np.array([rank_of(percent, int(sums[-1])) for percent in percents])
            blocks = np.searchsorted(sums, ranks)
            for block in set(blocks.tolist()):
                here, begin = blocks == block, block * size
                within = np.cumsum(weight[owner[begin : begin + size]])
                before = sums[block - 1] if block else 0
                drawn[here, first + draw] = ordered[begin + np.searchsorted(within, ranks[here] - before)]
    return [Resamples(row, row) for row in drawn]


def _indices(owners: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int32], int]:
    """The index of each owner among all distinct owners, and how many these are."""
    distinct = np.unique(owners)
    return np.searchsorted(distinct, owners).astype(np.int32), len(distinct)


def _by_length(lengths: Any, owner: NDArray[np.int32], count: int) -> tuple[Any, NDArray[np.int32]]:
    """Both, sorted by length. Where both fit into one integer they are sorted as one: that takes half the memory."""
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
    """How many gaps of each block belong to each stream: blocks by streams."""
    blocks = [owner[first : first + size] for first in range(0, len(owner), size)]
    return np.array([np.bincount(block, minlength=count) for block in blocks], dtype=float)


def _ratios(parts: Floats, wholes: Floats, seed: int) -> Floats:
    random, count = np.random.default_rng(seed), len(parts)
    drawn = np.empty(RESAMPLES)
    step = max(1, _BATCH // count)
    for first in range(0, RESAMPLES, step):
        chosen = random.integers(0, count, (min(step, RESAMPLES - first), count))
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn[first : first + step] = parts[chosen].sum(axis=1) / wholes[chosen].sum(axis=1)
    return np.nan_to_num(drawn, nan=0.0, posinf=np.inf)


def _lower_end(values: Floats) -> float:
    """The smallest value of the middle 95 %."""
    return float(np.sort(values)[len(values) // 40])


def _upper_end(values: Floats) -> float:
    """The largest value of the middle 95 %."""
    return float(np.sort(values)[-1 - len(values) // 40])
