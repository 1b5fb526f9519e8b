"""Bounds the probability that random loss explains a stuck sender.

Random loss hits any segment; a size limit drops the same segment every time. With a share p of all segments lost, the
probability that k of N segments are lost d times in a row is below C(N, k) p^(k d) (a union bound). Losses come in
bursts, so p is the larger of two shares: that of all segments that were lost, and that of the losses that followed a
loss, over the runs that recovered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LossTally:
    """Segments of one direction that arrived and that were lost, without the runs in question."""

    arrived: int
    lost: int

    @property
    def total(self) -> int:
        """Arrived and lost together."""
        return self.arrived + self.lost

    def pessimistic_share(self, recovered: Sequence[int]) -> float:
        """The larger loss share; `recovered` is how often each segment that arrived in the end was sent."""
        share = (self.lost + 0.5) / (self.total + 1)
        if not recovered:
            return share
        return max(share, (sum(recovered) - len(recovered) + 0.5) / (sum(recovered) + 1))


def chance_bound(share: float, total: int, streams: int, losses: int) -> float:
    """A bound on the probability that so many streams each lose one segment so often in a row."""
    total = max(total, streams)
    log_choices = math.lgamma(total + 1) - math.lgamma(streams + 1) - math.lgamma(total - streams + 1)
    return math.exp(min(0.0, log_choices + streams * losses * math.log(share)))
