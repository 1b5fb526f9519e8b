"""Says whose a stall is by the client's own socket alone.

For a server that stamps nothing, where nobody captured packets.

| what is seen                                                                                      | whose        |
|---------------------------------------------------------------------------------------------------|--------------|
| the client had not looked at its sockets                                                          | the client's |
| what had arrived waited for a segment that was missing                                            | the network's |
| keepalives of the stream came in the middle: only the tokens were missing                         | the server's |
| round trips of handshakes that began in it were longer by as much: the path had become longer     | the network's |
| what was due in the silence came after it: one segment alone, the others about a round trip later | the network's |
| it came, the first tokens joined in one full segment, as a sender's kernel does while it must wait | the network's |
| the same on a stream that comes joined, and full segments went on coming, one by one               | the network's |
| it came, several segments at once                                                                 | the server's |
| it did not come: afterwards tokens came one by one at their usual pace                            | the server's |
| anything else                                                                                     | unknown      |

A sender whose retransmission timer ran out begins with one segment; one that sends again after a pause sends a whole
window. "The server" is everything behind the far end of this TCP connection: a proxy there hides what is behind it.
Where what was due, and left of the stream, is less than three tokens nothing follows from whether it came. Segments
that arrived out of order only at the very end of a silence had not waited long: they were lost or overtaken after it.
"""

from __future__ import annotations

from chaoskit.analysis.attribution.verdict import Doubt, GapEvidence, Lateness, Stall, Verdict, shown
from chaoskit.analysis.result import Cause, NetworkKind
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.units import counted

DEAF = 50 * MS
"""A client that had not looked for longer is deaf: its own timer wakes one that has nothing to do each 20 ms."""
FEWEST = 3  # tokens
_CAUGHT_UP, _NOT_CAUGHT_UP = 0.4, 0.2
_RISEN = 0.6  # of a silence
_MEASURABLE = 4 * MS  # a round trip that a pattern of arrivals can be told by
_ALONE = (0.6, 2.0)  # round trips from the one segment to the next
_TOGETHER = 3 * MS  # from one read to the next of what was sent at once
_SEGMENTS = 3000  # bytes; what is longer came in more than one segment
_SAME_FLIGHT = 0.4  # round trips, where a path changes the order of what was sent at once


def by_silence(stall: Stall, evidence: GapEvidence) -> Verdict | None:
    """The verdict; None where nothing is known, or the stream died."""
    if stall.after is None:
        return _of_death(stall, evidence)
    deaf = evidence.deaf if evidence.deaf > DEAF else 0
    if deaf > stall.gap.length / 2:
        sentence = f"the client itself had not looked at its sockets for {shown(deaf)}"
        part = min(1.0, deaf / stall.gap.length) * stall.time
        parts = Lateness(client=part, unknown=stall.time - part)
        return Verdict(stall, parts, "likely", sentence, (stall.records,), doubt=Doubt("client", deaf))
    if evidence.waited:
        return _verdict(stall, evidence, "network", trace(evidence), kind_of_trace(stall, evidence))
    if evidence.alive:
        return _verdict(stall, evidence, "server", "keepalives of the stream arrived meanwhile, tokens did not")
    if has_risen(stall, evidence):
        risen = shown(evidence.rise or 0)
        sentence = f"the round trips of connections that were made meanwhile had grown by {risen}"
        return _verdict(stall, evidence, "network", sentence, "delay")
    if evidence.missing < FEWEST:
        return None
    due = counted(round(evidence.missing), "token")
    if had_to_wait(evidence):
        how = "the first ones came in one full segment: the sender's kernel had to wait with them"
        kind: NetworkKind | None = "loss" if has_restarted(evidence) else None
        return _verdict(stall, evidence, "network", f"{due} were due meanwhile, and {how}", kind)
    if evidence.caught_up >= _CAUGHT_UP:
        return _of_burst(stall, evidence, f"{due} were due meanwhile and came after it")
    if evidence.caught_up <= _NOT_CAUGHT_UP and evidence.goes_on:
        sentence = f"{due} were due meanwhile, and did not come after it either: nothing had been on its way"
        return _verdict(stall, evidence, "server", sentence)
    return None


def had_to_wait(evidence: GapEvidence) -> bool:
    """Whether the sender's kernel had to wait with what was due: it joined it to full segments, sent one by one."""
    return evidence.is_full and (evidence.next_read is None or evidence.next_read > _TOGETHER)


def has_risen(stall: Stall, evidence: GapEvidence) -> bool:
    """Whether round trips of handshakes that began in a stall were longer by about as much as it."""
    return evidence.rise is not None and evidence.rise > _RISEN * stall.gap.length


def kind_of_trace(stall: Stall, evidence: GapEvidence) -> NetworkKind:
    """Which trouble of the network left a trace, likely: within a round trip nothing is sent again."""
    return "reorder" if stall.gap.length < (evidence.least_round_trip or 0) else "loss"


def has_restarted(evidence: GapEvidence) -> bool:
    """Whether one segment came alone, and what had been due about a round trip later."""
    trips = _round_trips_to_next(evidence)
    return trips is not None and _ALONE[0] <= trips <= _ALONE[1] and evidence.caught_up >= _CAUGHT_UP


def trace(evidence: GapEvidence) -> str:
    """What the network left."""
    if evidence.waited:
        return "what had arrived waited for a segment that was missing"
    return f"{counted(evidence.out_of_order or 0, 'segment')} arrived out of order meanwhile"


def _round_trips_to_next(evidence: GapEvidence) -> float | None:
    """How many round trips after the end of a stall more came; None where they are too short to tell."""
    if evidence.round_trip is None or evidence.round_trip < _MEASURABLE or evidence.next_read is None:
        return None
    return evidence.next_read / evidence.round_trip


def _of_burst(stall: Stall, evidence: GapEvidence, sentence: str) -> Verdict | None:
    if has_restarted(evidence) and not evidence.out_of_order:
        how = f"one segment alone, the others {shown(evidence.next_read or 0)} later, about a round trip"
        return _verdict(stall, evidence, "network", f"{sentence}: {how}", "loss")
    is_large = stall.after is not None and stall.after.size > _SEGMENTS
    if not is_large and (evidence.next_read is None or evidence.next_read > _same_flight(evidence)):
        return None
    return _verdict(stall, evidence, "server", f"{sentence}, at once, and nothing had waited: it had been kept there")


def _same_flight(evidence: GapEvidence) -> float:
    """How long after the first segment the next one comes that was sent together with it, at most, ns."""
    return max(_TOGETHER, _SAME_FLIGHT * (evidence.round_trip or 0)) if evidence.out_of_order else _TOGETHER


def _of_death(stall: Stall, evidence: GapEvidence) -> Verdict | None:
    if evidence.waited:
        return _verdict(stall, evidence, "network", f"{trace(evidence)}, to the end", "loss")
    if evidence.alive:
        return _verdict(stall, evidence, "server", "keepalives of the stream arrived meanwhile, tokens did not")
    return None


def _verdict(
    stall: Stall, evidence: GapEvidence, cause: Cause, sentence: str, kind: NetworkKind | None = None
) -> Verdict:
    parts = Lateness.of(cause, float(stall.time))
    records = (stall.records, *evidence.samples)
    return Verdict(stall, parts, "likely", sentence, records, kind, Doubt("no-stamps"))
