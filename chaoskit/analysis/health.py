"""How the measuring itself went: a client too slow for its own workload measures itself.

| number         | definition                                                                            |
|----------------|---------------------------------------------------------------------------------------|
| scheduling lag | started - scheduled, p99 over requests; above 50 ms the run decides nothing            |
| loop lag       | what one instant in a hundred has to wait for the client's loop; above 20 ms the same  |
| server late    | sent - due, p99 over the reference server's events; above 20 ms a warning              |

Vitals give the longest wait of each half second. A wait of L blocks every instant within it, the first for
the whole of L: the time from which an instant waits longer than x is the sum of (L - x) over the waits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chaoskit.analysis.result import Health
from chaoskit.analysis.statistics.quantiles import MS, nearest, rank
from chaoskit.analysis.streams.assemble import Streams
from chaoskit.records.model import Vitals

SCHEDULING_MS = 50.0
LOOP_MS = 20.0
SERVER_LATE_MS = 20.0


def health(found: Streams, vitals: Sequence[Vitals]) -> Health:
    """Of the whole run."""
    lags = sorted(stream.request.started - stream.request.scheduled for stream in found.each)
    late = np.sort(found.late)
    scheduling = nearest(lags, 99) / MS if lags else None
    loop = loop_lag(vitals)
    return Health(
        scheduling_lag_p99_ms=scheduling,
        loop_lag_p99_ms=loop / MS if loop is not None else None,
        overloaded=(scheduling or 0) > SCHEDULING_MS or (loop or 0) / MS > LOOP_MS,
        server_late_p99_ms=int(late[rank(99, len(late)) - 1]) / MS if len(late) else None,
        unfinished=found.unfinished,
    )


def loop_lag(vitals: Sequence[Vitals]) -> float | None:
    """The p99 of the wait, in ns, over all instants between the first line and the last."""
    if len(vitals) < 2:
        return None
    budget = (vitals[-1].at - vitals[0].at) / 100
    waits = sorted((line.lag for line in vitals), reverse=True)
    total = 0.0
    for count, wait in enumerate(waits, start=1):
        total += wait
        following = waits[count] if count < len(waits) else 0
        if total - count * following > budget:
            return (total - budget) / count
    return 0.0
