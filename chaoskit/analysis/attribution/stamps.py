"""Divides a stall by the reference server's stamps: a gap's lateness is a sum of three.

| part                                                                                        | whose        |
|---------------------------------------------------------------------------------------------|--------------|
| sent later than due, compared with the token before; of a computed answer all of the time   | the server's |
| longer in transit than the token before                                                     | the network's |
| read later than it arrived, compared with the token before                                  | the client's |
| of the transit, as long as the client had not looked at its sockets                         | the client's |

The kernel's stamp of a read is that of its newest segment. So what comes in a read after the client has not looked for
a time may have waited for all of that time: it is the client's, likely.

Where a stall ends with several tokens that the server had sent apart, something kept them. On a connection whose own
evidence is clean (no segment out of order, none sent again, no rise of the round trip) that is something in between,
likely; what the network loses or delays leaves a trace there.
"""

from __future__ import annotations

from chaoskit.analysis.attribution.evidence import LATE, StreamEvidence
from chaoskit.analysis.attribution.verdict import Doubt, Lateness, Stall, Verdict
from chaoskit.analysis.result import Confidence
from chaoskit.analysis.statistics.quantiles import MS

_DEAF = 50 * MS  # its own timer wakes a probe that has nothing to do each 20 ms
_BURST = 3  # tokens


def by_stamps(stall: Stall, is_computed: bool, evidence: StreamEvidence) -> Verdict | None:
    """The verdict; None where a token around the stall has no stamps. `is_computed`: an engine computed the answer."""
    before, after = stall.before, stall.after
    if after is None or after.due is None or after.sent is None or before.due is None or before.sent is None:
        return None
    server = max(0, (after.sent - after.due) - (before.sent - before.due))
    if is_computed:
        server = max(0, after.sent - before.sent)
    transit = max(0, (after.at - after.sent) - (before.at - before.sent))
    client = max(0, (after.user - after.at) - (before.user - before.at))
    total = server + transit + client
    if not total:
        return Verdict(stall, Lateness(unknown=stall.time), "none")
    deaf = after.at - after.looked
    waited = min(transit, deaf) if deaf > _DEAF else 0
    way = transit - waited
    is_between = _was_held(stall, way, evidence)
    part = stall.time / total
    parts = Lateness(
        server=part * server,
        network=0.0 if is_between else part * way,
        client=part * (client + waited),
        between=part * way if is_between else 0.0,
    )
    doubt = Doubt("client", after.user - after.looked) if waited > LATE else None
    confidence: Confidence = "likely" if doubt is not None or (is_between and way > LATE) else "exact"
    return Verdict(stall, parts, confidence, doubt)


def _was_held(stall: Stall, way: int, evidence: StreamEvidence) -> bool:
    """Whether something in between kept what came at the end."""
    last, after, stream = stall.last, stall.after, stall.gap.stream
    if not evidence.has_between or last is None or last.sent is None or after is None or after.sent is None:
        return False
    if stream in evidence.held_back:
        return True
    if stall.burst < _BURST or stream in evidence.out_of_order or stream in evidence.retransmitted:
        return False
    return last.sent - after.sent > way / 2
