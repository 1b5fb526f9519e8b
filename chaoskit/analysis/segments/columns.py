"""Types of columns, and numbers that begin again at 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]
Bools = NDArray[np.bool_]
MS = 1_000_000  # ns


def no_column() -> Column:
    """One without rows."""
    return np.empty(0, dtype=np.int64)


def unwrapped(values: Column, bits: int) -> Column:
    """Numbers of so many bits, which begin again at 0, as if they did not: each nearest to the one before it."""
    if not len(values):
        return values
    half = 1 << bits - 1
    steps = (np.diff(values) + half) % (2 * half) - half
    return np.concatenate((values[:1], values[0] + np.cumsum(steps)))
