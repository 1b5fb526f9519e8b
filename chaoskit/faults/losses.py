"""What a loss model should lose in the long run, to hold against what a qdisc counted.

Sources: net/sched/sch_netem.c (`loss_4state`, `loss_gilb_ell`); Salsano et al., "Definition of a general
and intuitive loss model for packet networks and its implementation in the Netem module", 2012.
"""

from __future__ import annotations

from chaoskit.faults.netem import U32
from chaoskit.knobs import FourState, GilbertElliott, Loss, RandomLoss


def expectation(loss: Loss) -> tuple[float, float] | None:
    """(share lost, correlation of the loss of one packet with that of the next); None when unknowable.

    The second number widens the interval within which a count of drops is believed: of a binomial's
    variance it makes (1 + c) / (1 - c) times as much.
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
    if p + r == 0:
        return good, 0.0
    in_bad = p / (p + r)
    share = in_bad * bad + (1 - in_bad) * good
    spread = share * (1 - share)
    memory = (1 - p - r) * in_bad * (1 - in_bad) * (bad - good) ** 2 / spread if spread else 0.0
    return share, memory


def _four_state(p13: float, p31: float, p32: float, p23: float, p14: float) -> tuple[float, float] | None:
    if p31 == 0 or (p32 and p23 == 0):
        return None  # some state is never left: the share depends on when one looks
    burst_lost = p13 / p31
    burst_kept = burst_lost * p32 / p23 if p32 else 0.0
    lost = burst_lost + p14
    share = lost / (1 + burst_lost + burst_kept + p14)
    if share in (0.0, 1.0):
        return share, 0.0
    lost_again = burst_lost * (1 - p31 - p32) / lost
    return share, (lost_again - share) / (1 - share)
