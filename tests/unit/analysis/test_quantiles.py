"""Percentiles by nearest rank, against numpy."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.analysis.statistics.quantiles import PERCENTS, is_too_few, nearest_rank, summarize

MS = 1_000_000
TIMES = st.lists(st.integers(0, 10**12), min_size=1, max_size=300)


@given(TIMES)
def test_percentiles_are_numpys(values: list[int]) -> None:
    """Every percentile equals numpy's inverted_cdf of the same values."""
    ordered = sorted(map(float, values))

    for percent in PERCENTS:
        assert nearest_rank(ordered, percent) == np.percentile(ordered, percent, method="inverted_cdf")


def test_ranks_are_exact() -> None:
    """The p95 of 20 n values is the 19 n-th, without rounding errors."""
    for n in range(1, 500):
        assert nearest_rank(list(map(float, range(20 * n))), 95) == 19 * n - 1


@given(TIMES, st.integers(1, 50))
def test_never_is_longer_than_everything(values: list[int], dead: int) -> None:
    """Streams that never arrived only raise a percentile, and make it infinite once they reach its rank."""
    alive = summarize(map(float, values), "")
    both = summarize([*map(float, values), *[math.inf] * dead], "")

    assert both.never == dead
    assert both.max_ms == math.inf
    assert both.mean_ms == math.inf
    assert alive.p50_ms is not None
    assert both.p50_ms is not None
    assert both.p50_ms >= alive.p50_ms
    assert (both.p50_ms == math.inf) == (dead > len(values))


def test_small_samples_have_a_marked_maximum() -> None:
    """Under 20 values p95 is the maximum and marked, under 100 p99; from then on it is neither."""
    for count in range(1, 130):
        seen = summarize(map(float, range(count)), "")

        for percent, enough in ((90, 10), (95, 20), (99, 100)):
            value = getattr(seen, f"p{percent}_ms")
            assert (value == seen.max_ms) == (count < enough) == is_too_few(percent, count)
            assert (f"p{percent}" in seen.reported_as_max) == (count < enough)


def test_no_values_have_a_reason() -> None:
    """Without values everything is None, with the reason given."""
    seen = summarize([], "nobody asked")

    assert seen.count == 0
    assert seen.p50_ms is None
    assert seen.mean_ms is None
    assert seen.missing == "nobody asked"
