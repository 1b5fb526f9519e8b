"""Computes intervals of percentiles of gaps: streams are independent, gaps of one stream are not.

Where streams shared a connection, groups of them stand for streams.

Woodruff, JASA 47 (1952): a bound is above the percentile where the share of the gaps beyond it is surely small enough.
That share is a ratio of sums over streams (`ratio_of_sums`). Where no gap is beyond, the gaps are taken to be
independent, so that it takes 369 of them to bound a p99 from above.

The gaps are sorted once. From one candidate to the next only what lies between them is counted anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit import intervals
from chaoskit.analysis.statistics.quantiles import rank_of
from chaoskit.analysis.statistics.ratio_of_sums import SumOverStreams

Column = Sequence[float] | Sequence[int] | NDArray[np.integer[Any]]
Floats = NDArray[np.float64]


class GapPercentiles:
    """The gaps of streams, sorted: `lengths` and the stream of each, `owners`. `together` as in `SumOverStreams`."""

    def __init__(
        self, lengths: Column | Floats, owners: Column, tail: float = intervals.TAIL, together: float = 1.0
    ) -> None:
        self._tail, self._together = tail, together
        owner, count = _indices(np.asarray(owners))
        self._ordered, self._owner = _by_length(np.asarray(lengths), owner, count)
        self._counts = np.bincount(self._owner, minlength=count).astype(float)

    @property
    def owners(self) -> int:
        """How many streams, or groups, have any."""
        return len(self._counts)

    def value(self, percent: int) -> int:
        """The percentile itself, of whole numbers."""
        return int(self._ordered[rank_of(percent, len(self._owner)) - 1])

    def interval(self, percent: int) -> tuple[float, float]:
        """The interval, of at least two streams; 0 and infinity where there are too few gaps to bound it."""
        middle, count, beyond = rank_of(percent, len(self._owner)), len(self._owner), 1 - percent / 100
        after = self._after(middle)
        low, high, hits, at = middle, count + 1, after, middle
        while low < high:
            rank = (low + high) // 2
            hits, at = self._moved(hits, at, self._end_of_ties(rank))
            low, high = (low, rank) if self._share(hits).is_below(beyond) else (rank + 1, high)
        highest = math.inf if low > count else float(self._ordered[low - 1])
        low, high, hits, at = 0, middle, after, middle
        while low < high:
            rank = (low + high + 1) // 2
            hits, at = self._moved(hits, at, self._begin_of_ties(rank))
            low, high = (rank, high) if self._share(hits).is_above(beyond) else (low, rank - 1)
        return float(self._ordered[low - 1]) if low else 0.0, highest

    def _share(self, hits: Floats) -> SumOverStreams:
        return SumOverStreams.of(hits, self._counts, True, self._tail, self._together)

    def _after(self, rank: int) -> Floats:
        """How many gaps of each stream come after this rank."""
        return np.bincount(self._owner[rank:], minlength=len(self._counts)).astype(float)

    def _moved(self, hits: Floats, at: int, to: int) -> tuple[Floats, int]:
        """The gaps of each stream after rank `to`, where `hits` are those after `at`."""
        between = np.bincount(self._owner[min(at, to) : max(at, to)], minlength=len(self._counts))
        return (hits - between if to > at else hits + between), to

    def _end_of_ties(self, rank: int) -> int:
        """How many gaps are at most as long as that of this rank; all of them, beyond the last."""
        if rank > len(self._owner):
            return len(self._owner)
        return int(np.searchsorted(self._ordered, self._ordered[rank - 1], "right"))

    def _begin_of_ties(self, rank: int) -> int:
        """How many gaps are shorter than that of this rank."""
        return int(np.searchsorted(self._ordered, self._ordered[rank - 1], "left"))


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
