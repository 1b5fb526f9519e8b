"""Says which streams are the worst: those that stalled longest.

One rule, for reports, `explain` and the HTML page.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chaoskit.analysis.streams.gaps import Gaps
from chaoskit.analysis.streams.stream_sums import StreamSums


def stalled_times(gaps: Gaps) -> dict[int, int]:
    """What the stalls among these gaps were longer than the threshold, ns, by stream; those that stalled only."""
    stalls = gaps.stalls
    sums = StreamSums(stalls)
    return dict(zip(sums.streams, sums.of(np.asarray(stalls.excess - stalls.threshold)), strict=True))


def worst_first(bad: Mapping[int, float]) -> list[int]:
    """The streams with the largest numbers first, and of equal ones the first stream."""
    return sorted(bad, key=lambda stream: (-bad[stream], stream))
