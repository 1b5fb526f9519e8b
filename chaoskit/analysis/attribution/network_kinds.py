"""Says what the network did in a stall that the reference server's stamps divide.

Stamps tell that text was late on its way, not why.

| evidence                                                                                    | kind    | confidence |
|---------------------------------------------------------------------------------------------|---------|------------|
| the server's kernel sent segments again meanwhile, and the path keeps the order             | loss    | exact      |
| it sent nothing again; later segments waited, or arrived out of order                       | reorder | exact      |
| the path changes the order, and the packets at the client show no loss: the sender sees one | reorder | likely     |
| the packets at the client tell it; no loss, where the server's kernel sent nothing again    | as told | likely     |
| it sent nothing again, and all was in order                                                 | delay   | exact      |
| something waited or was out of order, for less than the path's round trip                   | reorder | likely     |
| the same for longer, in which what is lost can be sent again                                | loss    | likely     |
| one segment came alone, the others about a round trip later                                 | loss    | likely     |
| round trips of handshakes that began in it were longer by as much                           | delay   | likely     |
| all that the server's kernel sent again were duplicates                                     | delay   | likely     |
| anything else                                                                               | none    |            |

Where many of all that was sent again were duplicates the count alone makes nothing exact. Where a program stands in
between, its own connection to the server is counted: then only what was sent again tells. `link_places` adds what the
routers of a lab saw, which is the strongest.
"""

from __future__ import annotations

from typing import NamedTuple

from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.sent_again import Counted
from chaoskit.analysis.attribution.silences import has_restarted, has_risen, kind_of_trace, trace
from chaoskit.analysis.attribution.verdict import GapEvidence, Stall, shown
from chaoskit.analysis.result import Confidence, NetworkKind
from chaoskit.analysis.segments.cause import cause
from chaoskit.analysis.segments.gap_evidence import gap_evidence
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import ServedResponse
from chaoskit.records.pcapng import CAPTURE
from chaoskit.units import counted


class KindFound(NamedTuple):
    """What the network did; None where nothing tells. `sentence` says by what, `records` what that rests on."""

    kind: NetworkKind | None
    confidence: Confidence
    sentence: str = ""
    records: tuple[str, ...] = ()


def network_kind(stall: Stall, evidence: StreamEvidence, socket: GapEvidence) -> KindFound:
    """What the network did in a stall that a stamped token ended."""
    stream, after = stall.gap.stream, stall.after
    counts, seen = evidence.sent_again.get(stream), Counted(None)
    if counts is not None and after is not None and after.sent is not None:
        seen = counts.during(after.sent, after.at, socket.round_trip or 0)
    records = (f"{FILES[ServedResponse]}: stream {stream}",)
    if seen.lost and seen.is_ordered:
        sentence = f"the server's kernel sent {counted(seen.lost, 'segment')} again meanwhile"
        return KindFound("loss", "exact" if seen.is_sure else "likely", sentence, records)
    is_clean = seen.again == 0 and not evidence.has_front
    if is_clean and socket.has_trace:
        return KindFound("reorder", "exact", f"{trace(socket)}; nothing was lost", records)
    captured = _captured(stall, evidence)
    if not seen.is_ordered and (is_clean or seen.again) and (captured is None or captured.kind != "loss"):
        sentence = "the path changes the order, as the server's kernel noticed, and nothing proves a loss"
        return KindFound("reorder", "likely", sentence, records)
    if captured is not None and not (is_clean and captured.kind == "loss"):
        return captured
    if is_clean:
        sentence = "nothing was lost or out of order meanwhile"
        return KindFound("delay", "exact" if seen.is_sure else "likely", sentence, records)
    known = _by_socket(stall, socket)
    if seen.again and known.kind is None:
        return KindFound("delay", "likely", "what the server's kernel sent again had arrived already", records)
    return known


def _captured(stall: Stall, evidence: StreamEvidence) -> KindFound | None:
    """What the packets at the client tell; None where they were not captured, or it is not the network's by them."""
    gap, after = stall.gap, stall.after
    connection = evidence.capture.connection(evidence.ports.get(gap.stream), gap.begin)
    if connection is None or after is None:
        return None
    found = gap_evidence(connection, gap.begin, after.at)
    told = cause(found)
    if told.kind is None:
        return None
    return KindFound(told.kind, "likely", told.sentence, (f"{CAPTURE}: packets {', '.join(map(str, found.packets))}",))


def _by_socket(stall: Stall, socket: GapEvidence) -> KindFound:
    if socket.has_trace:
        return KindFound(kind_of_trace(stall, socket), "likely", trace(socket))
    if has_restarted(socket):
        sentence = f"it came alone, and more {shown(socket.next_read or 0)} later, about a round trip"
        return KindFound("loss", "likely", sentence)
    if has_risen(stall, socket):
        return KindFound("delay", "likely")
    return KindFound(None, "none")
