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
from typing import NamedTuple

from chaoskit.analysis.attribution.evidence import LATE, StreamEvidence
from chaoskit.analysis.attribution.network_kinds import KindFound, network_kind
from chaoskit.analysis.attribution.silences import DEAF, has_restarted
from chaoskit.analysis.attribution.verdict import Doubt, GapEvidence, Lateness, Stall, Verdict, shown
from chaoskit.analysis.result import Confidence
from chaoskit.analysis.streams.gaps import Token
from chaoskit.units import counted

_BURST = 3  # tokens
_HELD = "nothing was lost or overtaken on this connection: something in between held it"


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
    found = network_kind(stall, evidence, socket) if parts.network else KindFound(None, "none")
    how = _HELD if is_between else found.sentence
    sentence = "; ".join(_sentences(stall, _Parts(server, way, client), how, evidence.origin, socket))
    records = (stall.records, *socket.samples, *(found.records if way > LATE else ()))
    return Verdict(stall, parts, confidence, sentence, records, found.kind, doubt, kind_confidence=found.confidence)


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


class _Parts(NamedTuple):
    """By how much a token was late, ns."""

    server: int
    way: int
    client: int


def _sentences(stall: Stall, late: _Parts, how: str, origin: int, socket: GapEvidence) -> Iterator[str]:
    """What the stamps say, in the order in which it happened; `how` it was late on its way."""
    after = stall.after
    assert after is not None
    assert after.sent is not None
    lateness = f"sent {shown(late.server)} late" if late.server > LATE else "sent on time"
    yield f"{lateness} at {(after.sent - origin) / 1e9:.3f} s by the server's clock"
    if late.way > LATE:
        yield f"{shown(late.way)} longer on its way than the token before" + _with_it(stall, after)
        if how:
            yield how
    if late.client > LATE and socket.deaf > DEAF:
        yield f"the client itself had not looked at its sockets for {shown(socket.deaf)}"
    elif late.client > LATE:
        yield f"the client read it {shown(late.client)} after it had arrived"


def _with_it(stall: Stall, after: Token) -> str:
    if stall.burst < 2 or stall.last is None or stall.last.sent is None or after.sent is None:
        return ""
    apart = shown(stall.last.sent - after.sent)
    return f", and {counted(stall.burst - 1, 'later token')}, sent over {apart}, came together with it"
