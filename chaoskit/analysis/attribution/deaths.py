"""Divides the stall in which a stream died: it has no token at its end.

It is the network's when the server kept sending, without what the server was behind its own schedule at most, which is
unknown; all of it from a half of the stall on. What the client's event loop woke late meanwhile is the client's.
Where a host of a lab was seen ending the stream (`closings`), it is that of something in between. Without a record of
the server it is unknown.
"""

from __future__ import annotations

from chaoskit.analysis.attribution.evidence import LATE, StreamEvidence
from chaoskit.analysis.attribution.verdict import Doubt, Lateness, Stall, Verdict
from chaoskit.analysis.streams.gaps import Gap

_LATE_SHARE = 10  # a tenth of a stall


def of_death(stall: Stall, evidence: StreamEvidence) -> Verdict:
    """The verdict on a stall in which the stream died."""
    gap, time = stall.gap, float(stall.time)
    if gap.stream in evidence.cut_off:
        return Verdict(stall, Lateness(between=time), "exact")
    late = evidence.client_late_in(gap)
    client = min(time, late) if _is_late(late, gap) else 0.0
    doubt = Doubt("client", late) if client else None
    time -= client
    if gap.stream not in evidence.server_kept_sending:
        if stall.before.sent is None:
            doubt = doubt or Doubt("no-stamps")
        elif gap.stream not in evidence.server_late:
            doubt = doubt or Doubt("dead-without-record")
        return Verdict(stall, Lateness(unknown=time, client=client), "likely" if client else "none", doubt)
    server_late = evidence.server_late.get(gap.stream, 0)
    if not _is_late(server_late, gap):
        return Verdict(stall, Lateness(network=time, client=client), "likely" if client else "exact", doubt)
    unknown = min(time, float(server_late)) if server_late < time / 2 else time
    parts = Lateness(network=time - unknown, unknown=unknown, client=client)
    return Verdict(stall, parts, "likely" if unknown < time else "none", Doubt("dead-while-late", server_late))


def _is_late(late: int, gap: Gap) -> bool:
    return late > max(LATE, gap.excess // _LATE_SHARE)
