"""Divides a stall by the reference server's stamps: a gap's lateness is a sum of three.

| part                                                                                          | whose         |
|-----------------------------------------------------------------------------------------------|---------------|
| sent later than due, compared with the token before; of a computed answer, all time until then | the server's  |
| longer in transit than the token before                                                       | the network's |
| read later than it arrived, compared with the token before                                    | the client's  |
| of the transit, as long as the client had not looked at its sockets                           | the client's  |

The kernel's stamp of a read is that of its newest segment. So what comes in a read after the client has not looked for
a time may have waited for all of that time: it is the client's, likely.

Where a stall ends with several tokens that the server had sent apart, something kept them. On a connection whose own
evidence is clean (no segment out of order, none sent again, no rise of the round trip) that is something in between,
likely; what the network loses or delays leaves a trace there.
"""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.analysis.attribution.evidence import LATE, StreamEvidence
from chaoskit.analysis.attribution.silences import DEAF, has_restarted, kind_of_trace, trace
from chaoskit.analysis.attribution.verdict import Doubt, GapEvidence, Lateness, Stall, Verdict, shown
from chaoskit.analysis.result import Confidence, NetworkKind
from chaoskit.analysis.streams.gaps import Token
from chaoskit.units import counted

_BURST = 3  # tokens


def by_stamps(stall: Stall, is_computed: bool, evidence: StreamEvidence, socket: GapEvidence) -> Verdict | None:
    """The verdict; None where a token around the stall has no stamps. `is_computed`: an engine computed the answer."""
    before, after = stall.before, stall.after
    if after is None or after.due is None or after.sent is None or before.due is None or before.sent is None:
        return None
    server = max(0, (after.sent - after.due) - (before.sent - before.due))
    if is_computed:
        server = max(0, after.sent - before.sent)
    transit = max(0, (after.at - after.sent) - (before.at - before.sent))
    read_late = max(0, (after.user - after.at) - (before.user - before.at))
    waited = min(transit, socket.deaf) if socket.deaf > DEAF else 0
    way, client = transit - waited, read_late + waited
    total = server + transit + read_late
    if not total:
        sentence = "no token is later than the one before, by all stamps"
        return Verdict(stall, Lateness(unknown=stall.time), "none", sentence, (stall.records,))
    is_between = _was_held(stall, way, evidence, socket)
    part = stall.time / total
    parts = Lateness(
        server=part * server,
        network=0.0 if is_between else part * way,
        client=part * client,
        between=part * way if is_between else 0.0,
    )
    doubt = Doubt("client", after.user - after.looked) if waited > LATE else None
    confidence: Confidence = "likely" if doubt is not None or (is_between and way > LATE) else "exact"
    sentence = "; ".join(_sentences(stall, server, way, client, is_between, evidence.origin, socket))
    kind = _kind(stall, socket) if parts.network else None
    records = (stall.records, *socket.samples)
    return Verdict(stall, parts, confidence, sentence, records, kind, doubt)


def _was_held(stall: Stall, way: int, evidence: StreamEvidence, socket: GapEvidence) -> bool:
    """Whether something in between kept what came at the end."""
    last, after, stream = stall.last, stall.after, stall.gap.stream
    if not evidence.has_between or last is None or last.sent is None or after is None or after.sent is None:
        return False
    if stream in evidence.held_back:
        return True
    is_lossy = socket.has_trace if socket.out_of_order is not None else stream in evidence.out_of_order
    if stall.burst < _BURST or is_lossy or stream in evidence.retransmitted or has_restarted(socket):
        return False
    return last.sent - after.sent > way / 2


def _kind(stall: Stall, socket: GapEvidence) -> NetworkKind:
    if socket.has_trace:
        return kind_of_trace(stall, socket)
    return "loss" if has_restarted(socket) else "delay"


def _sentences(
    stall: Stall, server: int, way: int, client: int, is_between: bool, origin: int, socket: GapEvidence
) -> Iterator[str]:
    """What the stamps say, in the order in which it happened."""
    after = stall.after
    assert after is not None
    assert after.sent is not None
    lateness = f"sent {shown(server)} late" if server > LATE else "sent on time"
    yield f"{lateness} at {(after.sent - origin) / 1e9:.3f} s by the server's clock"
    if way > LATE:
        yield f"{shown(way)} longer on its way than the token before" + _with_it(stall, after)
        if is_between:
            yield "nothing was lost or overtaken on this connection: something in between held it"
        elif socket.has_trace:
            yield trace(socket)
        elif has_restarted(socket) and socket.next_read is not None:
            yield f"it came alone, and more {shown(socket.next_read)} later, about a round trip"
    if client > LATE and socket.deaf > DEAF:
        yield f"the client itself had not looked at its sockets for {shown(socket.deaf)}"
    elif client > LATE:
        yield f"the client read it {shown(client)} after it had arrived"


def _with_it(stall: Stall, after: Token) -> str:
    if stall.burst < 2 or stall.last is None or stall.last.sent is None or after.sent is None:
        return ""
    apart = shown(stall.last.sent - after.sent)
    return f", and {counted(stall.burst - 1, 'later token')}, sent over {apart}, came together with it"
