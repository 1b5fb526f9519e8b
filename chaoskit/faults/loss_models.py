"""Computes the expected long-run loss of a loss model, to compare with the counters of a qdisc.

Sources: net/sched/sch_netem.c (`loss_4state`, `loss_gilb_ell`); Salsano et al., "Definition of a general
and intuitive loss model for packet networks and its implementation in the Netem module", 2012.
"""

from __future__ import annotations

from chaoskit.faults.netem import U32
from chaoskit.knobs import FourState, GilbertElliott, Loss, RandomLoss

_Four = tuple[float, float, float, float]
_Moves = tuple[_Four, _Four, _Four, _Four]
_MAX_LAG, _NEGLIGIBLE = 20_000, 1e-9


def expected_loss(loss: Loss) -> tuple[float, float] | None:
    """(share lost, memory of the loss process); None when it cannot be computed.

    The memory m widens the confidence interval of a count of drops: for large n, the variance of the share lost
    of n packets is (1 + m) / (1 - m) times that of independent loss. For a model that loses all packets in its bad
    state and none in its good state, m is the correlation of consecutive packets.
    """
    match loss:
        case RandomLoss(share, 0):
            return share / U32, 0.0
        case RandomLoss():
            return None
        case GilbertElliott(p, r, h, k1):
            return _gilbert_elliott(p / U32, r / U32, 1 - h / U32, k1 / U32)
        case FourState(p13, p31, p32, p23, p14):
            return _four_state(p13 / U32, p31 / U32, p32 / U32, p23 / U32, p14 / U32)


def _gilbert_elliott(p: float, r: float, bad: float, good: float) -> tuple[float, float]:
    """The correlation over k packets is c (1 - p - r)^k; its sum over all k is closed."""
    if p + r == 0:
        return good, 0.0
    in_bad = p / (p + r)
    share = in_bad * bad + (1 - in_bad) * good
    spread, stay = share * (1 - share), 1 - p - r
    if not spread:
        return share, 0.0
    c = in_bad * (1 - in_bad) * (bad - good) ** 2 / spread
    return share, _memory(c * stay / (1 - stay))


def _four_state(p13: float, p31: float, p32: float, p23: float, p14: float) -> tuple[float, float] | None:
    if p31 == 0 or (p32 and p23 == 0):
        return None  # some state is never left: the share depends on the time of observation
    lost = p13 / p31  # probability relative to the good state; that of the fourth state is p14
    kept = lost * p32 / p23 if p32 else 0.0
    total = 1 + kept + lost + p14
    share = (lost + p14) / total
    if share in (0.0, 1.0):
        return share, 0.0
    moves = (
        (1 - p13 - p14, 0.0, p13, p14),
        (0.0, 1 - p23, p23, 0.0),
        (p31, p32, 1 - p31 - p32, 0.0),
        (1.0, 0.0, 0.0, 0.0),
    )
    return share, _memory(_correlations(moves, (1 / total, kept / total, lost / total, p14 / total), share))


def _correlations(moves: _Moves, stationary: _Four, share: float) -> float:
    """The sum over k of the correlation of a loss with the one k packets later; states 3 and 4 are losses."""
    ahead: _Four = (-share, -share, 1 - share, 1 - share)
    now, total = ahead, 0.0
    for _ in range(_MAX_LAG):
        ahead = tuple(sum(m * a for m, a in zip(row, ahead, strict=True)) for row in moves)  # type: ignore[assignment]
        term = sum(o * n * a for o, n, a in zip(stationary, now, ahead, strict=True)) / (share * (1 - share))
        total += term
        if max(abs(a) for a in ahead) < _NEGLIGIBLE:
            break
    return total


def _memory(correlations: float) -> float:
    """The m for which (1 + m) / (1 - m) is 1 + 2 x the sum of all correlations."""
    return correlations / (1 + correlations)
