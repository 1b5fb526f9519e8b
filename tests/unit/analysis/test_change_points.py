"""Change points are found where they are, and a series without one is flagged in at most 5 % of cases."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from chaoskit.analysis.trends.change_points import FEWEST, LEAST, change_points, weights_of

Made = Callable[[np.random.Generator], NDArray[np.float64]]
COUNT = 400
HELD = [100.0] * 10


def flagged(make: Made, weights: Made | None = None, count: int = COUNT) -> float:
    """The share of simulated series in which a change is found."""
    generator = np.random.default_rng(20261129)
    found = 0
    for _ in range(count):
        values = make(generator)
        found += bool(change_points([*values], [*(weights(generator) if weights else np.ones(len(values)))]))
    return found / count


@pytest.mark.parametrize(
    "make",
    [
        lambda generator: generator.normal(size=8),
        lambda generator: generator.normal(size=20),
        lambda generator: generator.normal(size=40),
        lambda generator: generator.lognormal(sigma=2, size=20),
        lambda generator: generator.standard_cauchy(size=20),
        lambda generator: generator.choice([0.0, 0.0, 0.0, 0.01, 0.02], size=20),
    ],
    ids=["normal-8", "normal-20", "normal-40", "lognormal", "cauchy", "ties"],
)
def test_no_change_is_seldom_flagged(make: Made) -> None:
    """Whatever the distribution: at most 5 % of series, as far as 400 of them tell (three standard errors above)."""
    assert flagged(make) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / COUNT)


def test_no_change_is_seldom_flagged_where_evidence_differs() -> None:
    """Nor where some runs have a tenth of the streams of others, and grow more and more noisy."""
    spread = np.linspace(1, 4, 20)

    assert flagged(lambda generator: generator.normal(size=20) * spread, weights=lambda _: 1 / spread**2) <= 0.08


@pytest.mark.parametrize("after", [8, 10])
def test_a_change_of_two_sigma_after_ten_runs_is_found(after: int) -> None:
    """In more than 80 % of series when eight runs have followed it."""
    found = flagged(lambda generator: np.concatenate([generator.normal(size=10), generator.normal(2, size=after)]))

    assert found > 0.8


def test_states_are_seldom_parted_once_more() -> None:
    """Of series with one clear change at most 5 % have another one."""
    generator = np.random.default_rng(11)
    found = [change_points([*(generator.normal(size=30) + np.repeat([0, 8], 15))], [1] * 30) for _ in range(200)]

    assert all(any(abs(at - 15) <= 1 for at in each) for each in found)
    assert sum(len(each) > 1 for each in found) / len(found) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_evidence_counts() -> None:
    """With every other run of few streams, more changes are found when the runs' intervals say so."""
    spread = np.tile([1.0, 6.0], 10)

    def made(generator: np.random.Generator) -> NDArray[np.float64]:
        return np.asarray(np.repeat([0.0, 2.0], 10) + generator.normal(size=20) * spread)

    assert flagged(made, lambda _: 1 / spread**2, 100) > flagged(made, count=100) + 0.1


@pytest.mark.parametrize("at", [3, 10, 17])
def test_a_clear_change_is_found_where_it_is(at: int) -> None:
    """The first run of the new state is named, at both ends of the series as well."""
    noise = np.random.default_rng(4).normal(size=20)

    assert change_points([*(noise + np.where(np.arange(20) < at, 0, 30))], [1] * 20) == (at,)


def test_each_change_is_found() -> None:
    """Worse, better and worse again: three changes."""
    noise = np.random.default_rng(5).normal(size=40)

    found = change_points([*(noise + np.repeat([0, 30, 0, 30], 10))], [1] * 40)

    assert found == (10, 20, 30)


@pytest.mark.parametrize("odd", [1e9, math.inf, -1e9])
@pytest.mark.parametrize("at", [0, 5, 19])
def test_one_odd_run_is_no_change(odd: float, at: int) -> None:
    """However far out it is, and wherever: the last run as well."""
    values = [*np.random.default_rng(6).normal(100, 1, size=20)]
    values[at] = odd

    assert change_points(values, [1] * 20) == ()


def test_never_is_larger_than_everything() -> None:
    """First tokens that no longer arrive are a change."""
    assert change_points([*HELD, *[math.inf] * 5], [1] * 15) == (10,)


def test_equal_values_have_no_change() -> None:
    """In virtual time a series may be constant."""
    assert change_points(HELD * 4, [1] * 40) == ()


def test_a_step_of_constant_values_is_one_change() -> None:
    """In virtual time a step has no noise, and its size does not matter."""
    assert change_points([*HELD, *[100.5] * 5], [1] * 15) == (10,)


@pytest.mark.parametrize("count", range(2 * LEAST + 6))
def test_few_runs_have_no_change(count: int) -> None:
    """However clear it is, up to seven; from eight on a clear one is found."""
    steps = [[0.0] * at + [1.0] * (count - at) for at in range(LEAST, count - LEAST + 1)]

    assert {bool(change_points(each, [1] * count)) for each in steps} <= {count >= FEWEST}


def test_the_same_series_has_the_same_answer() -> None:
    """The permutations have a fixed seed."""
    values = [*np.random.default_rng(8).normal(size=16), *np.random.default_rng(9).normal(1.5, size=6)]

    assert len({change_points(values, [1] * 22, 0.05) for _ in range(3)}) == 1


def test_a_run_with_a_wide_interval_weighs_less() -> None:
    """By the inverse of its variance where runs vary no more than their intervals tell."""
    weights = weights_of([1.0, 1.0, 100.0, 1.0], [10] * 4, [5.0, 5.1, 5.0, 4.9])

    assert weights[0] / weights[2] == pytest.approx(100)


def test_between_runs_that_vary_intervals_hardly_matter() -> None:
    """What differs from run to run is then what a run tells least of."""
    weights = weights_of([1.0, 1.0, 4.0, 1.0], [10] * 4, [0.0, 1000.0, 500.0, 2000.0])

    assert weights[0] / weights[2] == pytest.approx(1, rel=1e-3)


def test_without_intervals_streams_count() -> None:
    """A run of a tenth of the streams weighs less, and one of ten times as many at most twice as much."""
    weights = weights_of([None] * 3, [10, 100, 1000], [1.0, 1.0, 1.0])

    assert weights[0] < weights[1] < weights[2] < 2 * weights[1]
