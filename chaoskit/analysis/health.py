"""Measures how late the client and the reference server were: an overloaded client measures itself.

| number         | definition                                                                             |
|----------------|----------------------------------------------------------------------------------------|
| scheduling lag | started - scheduled, p99 over requests; above 50 ms the run is undecided                |
| loop lag       | p99 over time of the wait for the client's event loop; above 20 ms the run is undecided |
| client errors  | requests that this machine could not do; above 1 % of all the run is undecided          |
| server late    | sent - due, p99 over the reference server's events; above 20 ms a warning               |
| its maximum    | the longest of any event, also of those that did not arrive; above 1 s a warning         |

Vitals give the longest wait of each half second. A wait of L blocks every instant within it, the first for
the whole of L: the time from which an instant waits longer than x is the sum of (L - x) over the waits. Of several
processes that did one probe, the one that was later counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chaoskit.analysis.result import Health
from chaoskit.analysis.statistics.quantiles import MS, nearest_rank, rank_of
from chaoskit.analysis.streams.assemble import Streams
from chaoskit.records.model import ServedResponse, Vitals

MAX_SCHEDULING_LAG_MS = 50.0
MAX_LOOP_LAG_MS = 20.0
MAX_SERVER_LATENESS_MS = 20.0
MAX_SERVER_PAUSE_MS = 1000.0
MAX_CLIENT_ERRORS = 0.01
"""Of all requests. The load was then not what was asked for, as with requests that start late."""


def health(streams: Streams, vitals: Sequence[Vitals], served: Sequence[ServedResponse] = ()) -> Health:
    """The health of the whole run."""
    lags = sorted(max(0, stream.request.started - stream.request.scheduled) for stream in streams.ended)
    lateness = np.sort(np.maximum(streams.server_lateness, 0))
    scheduling = nearest_rank(lags, 99) / MS if lags else None
    loop = loop_lag(vitals)
    return Health(
        scheduling_lag_p99_ms=scheduling,
        loop_lag_p99_ms=loop / MS if loop is not None else None,
        overloaded=(scheduling or 0) > MAX_SCHEDULING_LAG_MS or (loop or 0) / MS > MAX_LOOP_LAG_MS,
        client_errors=sum(stream.is_client_error for stream in streams.ended),
        server_late_p99_ms=int(lateness[rank_of(99, len(lateness)) - 1]) / MS if len(lateness) else None,
        server_late_max_ms=max((max(0, one.max_late) for one in served), default=0) / MS if served else None,
        unfinished=streams.unfinished,
    )


def loop_lag(vitals: Sequence[Vitals]) -> float | None:
    """The p99 of the wait, in ns, over all instants from a process's first line to its last: the worst one's."""
    processes = dict.fromkeys(line.process for line in vitals)
    lags = [_loop_lag([line for line in vitals if line.process == process]) for process in processes]
    return max((lag for lag in lags if lag is not None), default=None)


def _loop_lag(vitals: Sequence[Vitals]) -> float | None:
    """That of one process."""
    if len(vitals) < 2:
        return None
    p99_time = (vitals[-1].at - vitals[0].at) / 100
    waits = sorted((line.lag for line in vitals), reverse=True)
    total = 0.0
    for count, wait in enumerate(waits, start=1):
        total += wait
        following = waits[count] if count < len(waits) else 0
        if total - count * following > p99_time:
            return (total - p99_time) / count
    return 0.0
