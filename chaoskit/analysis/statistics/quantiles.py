"""Computes quantiles by nearest rank: without arithmetic between values, so that "never" can be one.

The q-th percentile of n sorted values is the one of rank ceil(q n / 100) (numpy's `inverted_cdf`). Under 20
values that is the maximum for p95, under 100 for p99, under 10 for p90: shown as such, and marked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.summaries import LatencySummary

PERCENTS = (50, 90, 95, 99)
MS = 1_000_000  # ns
_NOTHING: NDArray[np.int64] = np.empty(0, dtype=np.int64)


def rank_of(percent: int, count: int) -> int:
    """The nearest rank, from 1 to `count`."""
    return max(1, -(-percent * count // 100))


def nearest_rank(values: Sequence[float], percent: int) -> float:
    """The percentile of sorted values, at least one."""
    return values[rank_of(percent, len(values)) - 1]


def is_too_few(percent: int, count: int) -> bool:
    """Whether so few values have only their maximum as this percentile."""
    return percent > 50 and count * (100 - percent) < 100


def summarize(values: Iterable[float], missing: str) -> LatencySummary:
    """The summary of times in ns (infinity: never). `missing` is the reason when there are none."""
    ordered = sorted(values)
    return _summary(ordered, math.fsum(ordered), sum(map(math.isinf, ordered)), missing)


def summarize_column(
    values: NDArray[np.int64], missing: str, unfinished: NDArray[np.int64] = _NOTHING
) -> LatencySummary:
    """The summary of a large column of non-negative integers, in ns. Sorts the column in place.

    `unfinished` are those of them that would have been longer.
    """
    values.sort()
    is_safe = not len(values) or int(values[-1]) * len(values) < 2**63
    total = int((values if is_safe else values.astype(object)).sum())
    found = _summary(_Sorted(values), float(total), 0, missing)
    known = {"max": 100} | {f"p{percent}": percent for percent in PERCENTS}
    places = {name: int(values[rank_of(percent, len(values)) - 1]) for name, percent in known.items()} if total else {}
    open_ended = [name for name in places if is_unfinished(values, known[name], unfinished, places[name])]
    at_least = {f"{name}_ms": places[name] / MS for name in open_ended}
    return found.model_copy(update={"at_least": at_least})


def is_unfinished(values: NDArray[np.int64], percent: int, unfinished: NDArray[np.int64], value: int) -> bool:
    """Whether this percentile of these values is one of the unfinished among them, which come after equal ones."""
    below = int(np.count_nonzero(values <= value)) - int(np.count_nonzero(unfinished == value))
    return len(unfinished) > 0 and rank_of(percent, len(values)) > below


class _Sorted(Sequence[int]):
    """A column that returns Python integers, which cannot overflow."""

    def __init__(self, column: NDArray[np.int64]) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        return int(self._column[index])


def _summary(ordered: Sequence[float], total: float, never: int, missing: str) -> LatencySummary:
    if not ordered:
        return LatencySummary(count=0, missing=missing)
    in_ms = {percent: nearest_rank(ordered, percent) / MS for percent in PERCENTS}
    return LatencySummary(
        count=len(ordered),
        never=never,
        p50_ms=in_ms[50],
        p90_ms=in_ms[90],
        p95_ms=in_ms[95],
        p99_ms=in_ms[99],
        max_ms=ordered[-1] / MS,
        mean_ms=total / len(ordered) / MS,
        reported_as_max=tuple(f"p{percent}" for percent in PERCENTS if is_too_few(percent, len(ordered))),
    )
