"""A search finds the limit in few runs, says where it lies beyond the range, and is as sure as it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from simulated_limits import Shape, grid, search_of, simulate

from chaoskit.analysis.limits.dose_response import Trial
from chaoskit.analysis.limits.reversal import is_reversed
from chaoskit.analysis.limits.search import Search

COARSE = search_of(0.1)
STEEP = Shape(0.004)


def test_a_sharp_limit_is_enclosed_in_few_runs() -> None:
    """With a precision of 5 % it takes at most 30 runs where a grid takes several times as many."""
    search = search_of(0.05)

    found = simulate(search, STEEP.curve(0.333), seed=1)

    assert found.where == "inside"
    assert found.low <= 0.333 <= found.high
    assert found.high - found.low <= 0.05
    assert len(found.trials) <= 30
    assert len(grid(search, STEEP.curve(0.333), seed=1).trials) >= 3 * len(found.trials)


@pytest.mark.parametrize(("limit", "where"), [(1.4, "above"), (-0.4, "below")])
def test_a_limit_beyond_the_range_is_told_by_its_side(limit: float, where: str) -> None:
    """After some runs at that end, and not after one."""
    found = simulate(COARSE, STEEP.curve(limit), seed=1)

    assert found.where == where
    assert 3 <= len(found.trials) <= 12


def test_the_first_run_is_at_the_easy_end() -> None:
    """What is broken without any fault is known at once."""
    before = COARSE.learned(())

    assert COARSE.next_doses(before, 3, is_first=True)[0] == 0.0


def test_runs_made_at_the_same_time_have_different_doses() -> None:
    """Each allows for the outcomes of the others."""
    chosen = COARSE.next_doses(COARSE.learned([Trial(0.0, True)]), 4)

    assert len(set(chosen)) >= 3


def test_what_is_tried_next_follows_from_the_outcomes() -> None:
    """The same outcomes give the same doses."""
    trials = [Trial(0.0, True), Trial(0.5, False), Trial(0.3, True)]

    doses = {tuple(COARSE.next_doses(COARSE.learned(trials), 2)) for _ in range(3)}

    assert len(doses) == 1


def test_few_doses_are_enough() -> None:
    """A path that takes three values has a limit as well."""
    search = Search(0.5, (0.0, 0.5, 1.0))

    found = simulate(search, STEEP.curve(0.7), seed=1)

    assert found.low <= 0.7 <= found.high


@pytest.mark.parametrize("shape", [Shape(0.03), Shape(0.06, 0.03)])
def test_the_interval_holds_the_truth(shape: Shape) -> None:
    """In about 95 % of searches: at least 44 of 50. tests/bench/limit_coverage.py simulates thousands."""
    limits = np.random.default_rng(3).uniform(0, 1, 50)

    found = [simulate(COARSE, shape.curve(limit), seed, most=16) for seed, limit in enumerate(limits)]

    assert sum(each.low <= limit <= each.high for each, limit in zip(found, limits, strict=True)) >= 44


def runs(of: Callable[[float], bool]) -> list[Trial]:
    """Three runs at each of eleven doses."""
    return [Trial(dose / 10, of(dose / 10)) for dose in range(11) for _ in range(3)]


def test_what_holds_again_at_a_harder_dose_is_noticed() -> None:
    """Several runs that break between doses that hold, and the other way round."""
    assert is_reversed(runs(lambda dose: not 0.25 < dose < 0.65))
    assert is_reversed(runs(lambda dose: 0.25 < dose < 0.65))
    assert is_reversed(runs(lambda dose: dose > 0.65))


@pytest.mark.parametrize(("breaks", "holds"), [(0.2, 0.8), (0.3, 0.95), (-0.1, 0.4), (-0.1, 0.9)])
def test_a_search_that_finds_a_limit_looks_at_the_hard_end(breaks: float, holds: float) -> None:
    """What breaks between two doses, and what holds at the hard end alone, as when the ends are exchanged."""
    found = simulate(search_of(0.05), lambda dose: float(not breaks < dose < holds), seed=1)

    assert is_reversed(found.trials)
    assert len(found.trials) < 40


def test_where_the_hard_end_breaks_one_run_there_is_enough() -> None:
    """And none where the limit is so near that nothing else is expected of it."""
    search = search_of(0.05)
    far, near = (simulate(search, STEEP.curve(limit), seed=1) for limit in (0.3, 0.99))

    assert [trial.held for trial in far.trials if trial.dose == 1] == [False]
    assert len(near.trials) < 20


@pytest.mark.parametrize("limit", [-0.1, 0.05, 0.55, 1.1])
def test_one_limit_is_no_reversal(limit: float) -> None:
    """Wherever it is, with a lapse as well."""
    trials = runs(lambda dose: dose < limit)

    assert not is_reversed(trials)
    assert not is_reversed([*trials, Trial(0.0, False), Trial(1.0, True)])
