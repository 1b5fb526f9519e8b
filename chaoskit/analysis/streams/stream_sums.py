"""Sums columns of gaps by stream."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.streams.columns import Bools, Ints
from chaoskit.analysis.streams.gaps import Gaps


def group_starts(ordered: Ints) -> NDArray[np.int64]:
    """The indices at which a new number begins."""
    is_other = np.empty(len(ordered), dtype=np.bool_)
    is_other[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=is_other[1:])
    return np.flatnonzero(is_other)


class StreamSums:
    """Sums of gaps by stream, in the order of their numbers: Python integers, which cannot overflow."""

    def __init__(self, gaps: Gaps) -> None:
        streams = gaps.stream
        self._starts = group_starts(streams)
        self.streams: list[int] = streams[self._starts].tolist()
        self.counts: list[int] = np.diff(self._starts, append=len(streams)).tolist()

    def of(self, column: Ints | Bools) -> list[int]:
        """The sum of each stream's part of a column."""
        if not len(column):
            return []
        wide = column.astype(np.int64, copy=False)
        if max(int(wide.max()), -int(wide.min())) * max(self.counts) >= 2**63:
            wide = wide.astype(object)
        return cast("list[int]", np.add.reduceat(wide, self._starts).tolist())

    def largest(self, column: Ints) -> list[int]:
        """The largest number of each stream's part of a column."""
        return cast("list[int]", np.maximum.reduceat(column, self._starts).tolist()) if len(column) else []
