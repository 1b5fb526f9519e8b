"""The probability that random loss explains a stuck sender is never underestimated."""

from __future__ import annotations

import math

import pytest

from chaoskit.analysis.network.loss_odds import LossTally, chance_bound


@pytest.mark.parametrize("lost", [0, 6, 14])
@pytest.mark.parametrize("streams", [1, 3, 8])
@pytest.mark.parametrize("deaths", [1, 3, 6])
def test_the_bound_is_above_the_exact_probability(lost: int, streams: int, deaths: int) -> None:
    """The binomial tail is below the bound, and the bound is at most 1."""
    tally = LossTally(20 - lost, lost)
    tries, dies = 20, tally.pessimistic_share**deaths
    exact = sum(math.comb(tries, k) * dies**k * (1 - dies) ** (tries - k) for k in range(streams, tries + 1))

    assert exact <= chance_bound(tally, [deaths] * streams) * (1 + 1e-9)
    assert chance_bound(tally, [deaths] * streams) <= 1


def test_one_of_many_is_lost_four_times() -> None:
    """Computed by hand: 97 x 0.05^4, where 1 of 97 others was lost; another that was lost twice comes on top."""
    tally = LossTally(96, 1)

    assert tally.pessimistic_share == 0.05
    assert chance_bound(tally, [4]) == pytest.approx(97 * 0.05**4)
    assert chance_bound(tally, [4, 2]) == pytest.approx(97 * 96 / 2 * 0.05**6)


def test_little_that_was_seen_proves_little() -> None:
    """Where nothing passed, and where nothing but losses was seen, anything may be chance."""
    assert chance_bound(LossTally(0, 0), [9, 9]) == 1
    assert chance_bound(LossTally(3, 30), [9, 9]) == 1


def test_the_share_is_above_what_was_seen() -> None:
    """Twice the share, or three of all where none was lost."""
    assert LossTally(97, 0).pessimistic_share == pytest.approx(0.03)
    assert LossTally(870, 127).pessimistic_share == pytest.approx(0.257)
