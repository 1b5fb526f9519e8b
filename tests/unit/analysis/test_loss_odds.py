"""The chance that mere loss did it is never put too low."""

from __future__ import annotations

import math

import pytest

from chaoskit.analysis.network.loss_odds import LossTally, chance_bound


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
@pytest.mark.parametrize("streams", [1, 3, 8])
@pytest.mark.parametrize("deaths", [1, 3, 6])
def test_is_above_the_exact_chance(share: float, streams: int, deaths: int) -> None:
    """The binomial tail is below the bound, and the bound is none above certainty."""
    tries, dies = 20, share**deaths
    exact = sum(math.comb(tries, k) * dies**k * (1 - dies) ** (tries - k) for k in range(streams, tries + 1))

    assert exact <= chance_bound(share, tries, streams, deaths) * (1 + 1e-9)
    assert chance_bound(share, tries, streams, deaths) <= 1


def test_one_of_ten_dies_four_times() -> None:
    """Worked out on paper: 10 x 0.3^4."""
    assert chance_bound(0.3, 10, 1, 4) == pytest.approx(0.081)


def test_nothing_lost_is_not_never() -> None:
    """Half a loss is added to what was seen: 9 that arrived make a share of 5 %."""
    assert LossTally(9, 0).pessimistic_share(()) == pytest.approx(0.05)


def test_bursts_count_more_than_their_share() -> None:
    """Three runs of three deaths that ended well: two of three deaths were followed by another."""
    assert LossTally(90, 9).pessimistic_share((3, 3, 3)) == pytest.approx(6.5 / 10)
    assert LossTally(9, 90).pessimistic_share((1,)) == pytest.approx(90.5 / 100)
