"""Tests the expected long-run loss of loss models."""

from __future__ import annotations

import random
from statistics import variance
from typing import Any

import pytest

from chaoskit.faults.loss_models import expected_loss
from chaoskit.faults.netem import U32
from chaoskit.knobs import FourState, GilbertElliott, Loss, RandomLoss

PACKETS, BLOCK = 400_000, 500


def u32(*shares: float) -> list[Any]:
    """Shares as the kernel keeps them."""
    return [round(share * U32) for share in shares]


def kernel_draws(loss: Loss) -> list[bool]:
    """The loss of each packet, drawn as net/sched/sch_netem.c draws it."""
    rng, state = random.Random(1), 1
    lost = []
    for _ in range(PACKETS):
        draw = rng.getrandbits(32)
        match loss:
            case RandomLoss(share):
                lost.append(draw < share)
            case GilbertElliott(p, r, h, k1):
                again = rng.getrandbits(32)
                lost.append(again < k1 if state == 1 else again > h)
                if draw < (p if state == 1 else r):
                    state = 3 - state
            case FourState(p13, p31, p32, p23, p14):
                state = four_states(state, draw, (p13, p31, p32, p23, p14))
                lost.append(state in (3, 4))
    return lost


def four_states(state: int, draw: int, p: tuple[int, int, int, int, int]) -> int:
    """The next state of `loss_4state`."""
    p13, p31, p32, p23, p14 = p
    if state == 1:
        return 4 if draw < p14 else 3 if draw < p13 + p14 else 1
    if state == 2:
        return 3 if draw < p23 else 2
    if state == 3:
        return 2 if draw < p32 else 1 if draw < p31 + p32 else 3
    return 1


@pytest.mark.parametrize(
    "loss",
    [
        RandomLoss(*u32(0.02)),
        GilbertElliott(*u32(0.01, 0.3, 0, 0)),
        GilbertElliott(*u32(0.05, 0.4, 0.3, 0.01)),
        GilbertElliott(*u32(0.005, 0.1, 0.5, 0)),
        FourState(*u32(0.02, 0.4, 0, 1, 0)),
        FourState(*u32(0.02, 0.3, 0.2, 0.4, 0.01)),
    ],
    ids=str,
)
def test_share_and_variance_equal_the_kernels_algorithm(loss: Loss) -> None:
    """The long-run share and the variance of its counts equal those of the kernel's algorithm."""
    lost = kernel_draws(loss)
    counts = [sum(lost[i : i + BLOCK]) for i in range(0, PACKETS, BLOCK)]
    share = sum(lost) / PACKETS
    inflation = variance(counts) / (BLOCK * share * (1 - share))

    expected = expected_loss(loss)

    assert expected is not None
    assert expected[0] == pytest.approx(share, rel=0.06)
    assert (1 + expected[1]) / (1 - expected[1]) == pytest.approx(inflation, rel=0.25)


def test_correlated_random_loss_has_no_expectation() -> None:
    """The kernel's correlated loss is known to lose less than stated, so no share is expected."""
    assert expected_loss(RandomLoss(*u32(0.2, 0.25))) is None


@pytest.mark.parametrize(("loss", "share"), [(GilbertElliott(0, 0, 0, 0), 0.0), (FourState(*u32(1, 1, 0, 1, 0)), 0.5)])
def test_corner_cases_have_a_share(loss: Loss, share: float) -> None:
    """A model that never leaves its first state and one that alternates have exact shares."""
    expected = expected_loss(loss)

    assert expected is not None
    assert expected[0] == pytest.approx(share)


def test_a_state_that_is_never_left_has_no_expectation() -> None:
    """Without a transition back to the good state, the share depends on the time of observation."""
    assert expected_loss(FourState(*u32(0.1, 0, 0, 1, 0))) is None
