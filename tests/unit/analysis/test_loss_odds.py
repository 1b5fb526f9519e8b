"""The probability that random loss explains a stuck sender is never underestimated."""

from __future__ import annotations

import math

import pytest

from chaoskit.analysis.network.loss_odds import LossTally, chance_bound


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
@pytest.mark.parametrize("streams", [1, 3, 8])
@pytest.mark.parametrize("deaths", [1, 3, 6])
def test_the_bound_is_above_the_exact_probability(share: float, streams: int, deaths: int) -> None:
    """The binomial tail is below the bound, and the bound is at most 1."""
    tries, dies = 20, share**deaths
    exact = sum(math.comb(tries, k) * dies**k * (1 - dies) ** (tries - k) for k in range(streams, tries + 1))

    assert exact <= chance_bound(share, tries, streams, deaths) * (1 + 1e-9)
    assert chance_bound(share, tries, streams, deaths) <= 1


def test_one_of_ten_is_lost_four_times() -> None:
    """Computed by hand: 10 x 0.3^4."""
    assert chance_bound(0.3, 10, 1, 4) == pytest.approx(0.081)


def test_no_loss_is_not_a_share_of_zero() -> None:
    """Half a loss is added to the count: 9 that arrived give a share of 5 %."""
    assert LossTally(9, 0).pessimistic_share(()) == pytest.approx(0.05)


def test_bursts_count_more_than_their_share() -> None:
    """Three runs of three losses that recovered: two of three losses were followed by another."""
    assert LossTally(90, 9).pessimistic_share((3, 3, 3)) == pytest.approx(6.5 / 10)
    assert LossTally(9, 90).pessimistic_share((1,)) == pytest.approx(90.5 / 100)
