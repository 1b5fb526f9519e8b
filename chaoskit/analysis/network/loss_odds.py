"""Bounds the probability that random loss explains stuck senders.

Random loss hits any segment; a size limit drops the same segment every time. But losses come in bursts, and one burst
takes any number of retransmissions in a row. So losses of a segment count as independent only where something small
passed between them: that burst was over, and the next loss has at most the probability p of any loss (exact for
Gilbert-Elliott loss, where a packet that passed makes the loss of a later one less likely, never more). The probability
that k of N segments are lost n times in all, independently, is then below C(N, k) p^n (a union bound).

p is the share that was lost of all other segments, doubled and with three losses added: the 95 % bound where none was
lost, and enough where bursts make few losses a poor estimate (`tests/virtual/test_chance.py` tries it on real kernels).

A finding needs a probability below 1 in 1000, for it is sought in every direction of every phase of every run: at 1 in
20 a daily run with ten phases would have a false one each day. From 1 in a million on it is certain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

UNLIKELY, CERTAIN = 1e-3, 1e-6


@dataclass(frozen=True)
class LossTally:
    """Segments of one direction that arrived and that were lost, without those in question."""

    arrived: int
    lost: int

    @property
    def total(self) -> int:
        """Arrived and lost together."""
        return self.arrived + self.lost

    @property
    def pessimistic_share(self) -> float:
        """A bound on the share that random loss takes."""
        return min(1.0, (2 * self.lost + 3) / (self.total + 3))


def chance_bound(tally: LossTally, losses: Sequence[int]) -> float:
    """A bound on the probability that so many segments are each lost so often, independently."""
    total, count = max(tally.total, len(losses)), len(losses)
    log_choices = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    return math.exp(min(0.0, log_choices + sum(losses) * math.log(tally.pessimistic_share)))
