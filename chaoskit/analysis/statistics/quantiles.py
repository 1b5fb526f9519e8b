"""Quantiles by nearest rank, which need no arithmetic between values: "never" may be among them.

The q-th percentile of n sorted values is the one of rank ceil(q n / 100) (numpy's `inverted_cdf`). Under 20
values that is the maximum for p95, under 100 for p99, under 10 for p90: shown as such, and marked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.result import Times

PERCENTS = (50, 90, 95, 99)
MS = 1_000_000  # ns


def rank(percent: int, count: int) -> int:
    """Nearest rank, from 1 to `count`."""
    return max(1, -(-percent * count // 100))


def nearest(values: Sequence[float], percent: int) -> float:
    """The percentile of values that are sorted already. There must be at least one."""
    return values[rank(percent, len(values)) - 1]


def is_small(percent: int, count: int) -> bool:
    """True when so few values have no such percentile but their maximum."""
    return percent > 50 and count * (100 - percent) < 100


def times(values: Iterable[float], missing: str) -> Times:
    """The summary of times in ns (infinity: never). `missing` is the reason when there are none."""
    found = sorted(values)
    return _summary(found, math.fsum(found), sum(map(math.isinf, found)), missing)


def of_column(values: NDArray[np.int64], missing: str) -> Times:
    """The same of very many whole numbers that are not below 0. Sorts them where they are."""
    values.sort()
    is_safe = not len(values) or int(values[-1]) * len(values) < 2**63
    total = int((values if is_safe else values.astype(object)).sum())
    return _summary(_Sorted(values), float(total), 0, missing)


class _Sorted(Sequence[int]):
    """A column that gives Python's own numbers, which know no overflow."""

    def __init__(self, column: NDArray[np.int64]) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        return int(self._column[index])


def _summary(found: Sequence[float], total: float, never: int, missing: str) -> Times:
    if not found:
        return Times(count=0, missing=missing)
    in_ms = {percent: nearest(found, percent) / MS for percent in PERCENTS}
    return Times(
        count=len(found),
        never=never,
        p50_ms=in_ms[50],
        p90_ms=in_ms[90],
        p95_ms=in_ms[95],
        p99_ms=in_ms[99],
        max_ms=found[-1] / MS,
        mean_ms=total / len(found) / MS,
        small=tuple(f"p{percent}" for percent in PERCENTS if is_small(percent, len(found))),
    )
