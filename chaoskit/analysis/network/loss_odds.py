"""Could mere loss have done it? Loss kills segments at random; what kills them by size kills the same one for ever.

With a share p of all segments lost, the chance that k of N segments die d times in a row is below
C(N, k) p^(k d) (a union bound). Losses come in bursts, so p is the worse of two shares: that of the lost among
all, and that of the deaths that followed a death, over the runs that ended well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """Segments of one direction that arrived and that were lost, those of the runs in question left out."""

    arrived: int
    lost: int

    @property
    def tries(self) -> int:
        """All of them."""
        return self.arrived + self.lost

    def worst(self, survived: Sequence[int]) -> float:
        """The share to reckon with; `survived` are the deaths in a row of segments that arrived in the end."""
        share = (self.lost + 0.5) / (self.tries + 1)
        if not survived:
            return share
        return max(share, (sum(survived) - len(survived) + 0.5) / (sum(survived) + 1))


def at_most(share: float, tries: int, streams: int, deaths: int) -> float:
    """A bound on the chance that so many streams each lose one segment so often in a row."""
    tries = max(tries, streams)
    ways = math.lgamma(tries + 1) - math.lgamma(streams + 1) - math.lgamma(tries - streams + 1)
    return math.exp(min(0.0, ways + streams * deaths * math.log(share)))
