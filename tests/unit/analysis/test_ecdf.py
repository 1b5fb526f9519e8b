"""Distribution functions and their bands."""

from __future__ import annotations

import numpy as np
import pytest

from chaoskit.analysis.statistics.ecdf import Times, of_gaps, of_times, points_of


def test_a_curve_is_the_share_up_to_each_point() -> None:
    """What never came counts among all, so the curve ends below 1."""
    curve = of_times(Times(np.array([30.0, 10.0, 20.0]), never=1), np.array([5.0, 10.0, 25.0, 99.0]))

    assert curve.share.tolist() == [0, 0.25, 0.5, 0.75]


def test_the_band_of_times_holds_the_whole_curve() -> None:
    """In at most 5 % of samples the true distribution leaves it anywhere (Massart, 1990)."""
    chance = np.random.default_rng(1)
    points = np.linspace(0, 1, 200)
    missed = 0
    for _ in range(400):
        curve = of_times(Times(chance.random(40)), points)
        assert curve.low is not None
        assert curve.high is not None
        missed += bool(((points < curve.low) | (points > curve.high)).any())

    assert 0 < missed <= 0.07 * 400


def test_what_the_end_of_the_run_cut_off() -> None:
    """Its weight moves to the longer ones (Kaplan and Meier), and the band holds whatever it would have been."""
    curve = of_times(Times(np.array([10.0, 20.0, 30.0]), cut=np.array([15.0])), np.array([10.0, 15.0, 20.0, 30.0]))

    assert curve.share == pytest.approx([0.25, 0.25, 0.625, 1.0])
    assert curve.low is not None
    assert curve.high is not None
    assert (curve.low <= curve.share).all()
    assert (curve.share <= curve.high).all()


def test_the_band_of_gaps_is_about_streams() -> None:
    """A thousand gaps of four streams say no more than four streams: the band is wide; of forty it is narrower."""
    points = np.array([50.0])
    widths = []
    for streams in (4, 40):
        owners = np.repeat(np.arange(streams), 1000)
        lengths = np.where(owners % 2, 10, 100)
        curve = of_gaps(lengths, owners, points)
        assert curve.share.tolist() == [0.5]
        assert curve.low is not None
        assert curve.high is not None
        widths.append(float(curve.high[0] - curve.low[0]))

    assert widths[0] > 0.6
    assert widths[1] < 0.4


def test_points_are_few_and_reach_the_ends() -> None:
    """Of many values some are chosen, with the least and the largest."""
    values = np.random.default_rng(1).random(10_000)
    points = points_of(values, 100)

    assert len(points) <= 110
    assert points[0] == values.min()
    assert points[-1] == values.max()
    assert points_of(np.array([3.0, 1.0, 3.0]), 100).tolist() == [1, 3]
