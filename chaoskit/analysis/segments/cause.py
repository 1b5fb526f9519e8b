"""Whose a gap was, by what its packets tell.

"The server" is everything behind the far end of this connection: a proxy or a CDN hides what is behind it.

The silence is split at the first packet that arrived after it:

| what is seen until then                                            | whose time it is                              |
|--------------------------------------------------------------------|-----------------------------------------------|
| we had told that we had no room                                    | the client's                                  |
| the packet is a retransmission, or the sender's timer had run out, | the network's: loss                           |
| or packets were lost and this one is not beyond a hole             |                                               |
| packets were lost before it, that held what the server writes in   | the network's: loss: it had waited to be sent |
| several                                                            |                                               |
| packets were lost before it, and it is new                         | their usual times are the network's: loss;    |
|                                                                    | the rest is the server's, which sent no more  |
| nothing was lost; texts were joined in it, and sent as soon as our | the network's: queueing: they had waited for  |
| acknowledgement came, or while data was in flight                  | room in the window                            |
| nothing was lost; it was longer on its way than the one before     | so much the network's: rate, queueing, delay; |
|                                                                    | the rest is the server's, which sent it late  |
| nothing tells when it was sent                                     | unknown                                       |

What is left until the silence ended, when later segments waited, is the network's: loss, or reorder where every packet
that was sent arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from chaoskit.analysis.segments.columns import MS
from chaoskit.analysis.segments.gap_evidence import WireEvidence
from chaoskit.units import counted

Side = Literal["network", "server", "client", "between", "unknown"]
WireKind = Literal["loss", "reorder", "delay", "queueing", "rate", "black-hole"]
CERTAIN, LIKELY, WEAK = 0.98, 0.85, 0.6
"""Confidences: two kinds of evidence agree; one has it; only a pattern does."""
_QUEUED = 100 * MS  # ns of a standing queue
_QUEUED_SIZE = 1.5  # segments of usual length in one packet


@dataclass(frozen=True)
class WireCause:
    """The side with most of the silence, the part of each in ns, and one sentence of evidence."""

    side: Side
    kind: WireKind | None
    confidence: float
    sentence: str
    network: int = 0
    server: int = 0
    client: int = 0
    between: int = 0


def all_of(side: Side, time: int, confidence: float, sentence: str, kind: WireKind | None = None) -> WireCause:
    """The verdict that all of a time is of one side."""
    found = WireCause(side, kind, confidence, sentence)
    match side:
        case "network":
            return replace(found, network=time)
        case "server":
            return replace(found, server=time)
        case "client":
            return replace(found, client=time)
        case "between":
            return replace(found, between=time)
        case _:
            return found


def cause(evidence: WireEvidence) -> WireCause:
    """The verdict about a gap."""
    if evidence.ending == "nothing":
        return all_of("unknown", 0, 0.0, "no packet that ended it was captured")
    if evidence.ending == "fin":
        words = f"the server's side closed the connection (FIN) after {shown(evidence.silence)} without data"
        return all_of("server", evidence.silence, LIKELY, words)
    if evidence.is_window_closed:
        return all_of("client", evidence.silence, CERTAIN, "the client had told the server that it had no room")
    split = _split(evidence)
    if split is None:
        why = "; ".join(evidence.doubts) or "the capture does not tell when it was sent"
        return all_of("unknown", 0, 0.0, why)
    server, confidence = split
    network = evidence.silence - server
    if evidence.dropped:
        confidence = min(confidence, WEAK)
    if server > network:
        return WireCause("server", None, confidence, f"{_sent_late(evidence)}{_unsure(evidence)}", network, server)
    kind = _kind(evidence)
    return WireCause("network", kind, confidence, f"{_told(kind, evidence)}{_unsure(evidence)}", network, server)


def _split(evidence: WireEvidence) -> tuple[int, float] | None:
    """The server's part of the silence in ns, and the confidence; None where nothing tells."""
    until, usual = evidence.until_first, evidence.usual
    missing = evidence.lost if evidence.lost is not None else evidence.hole
    counted_both = CERTAIN if evidence.lost is not None and evidence.sent_apart is not None else LIKELY
    is_beyond = evidence.hole > 0
    was_sent_again = evidence.is_sent_again and not is_beyond
    had_timeout = bool(evidence.timeouts_first)
    if was_sent_again or had_timeout or (missing and not is_beyond):
        return 0, CERTAIN if was_sent_again or had_timeout or (evidence.lost or 0) > 1 else LIKELY
    was_queued = evidence.lost is not None and evidence.hole > _QUEUED_SIZE * evidence.lost > 0
    if is_beyond and was_queued:
        return 0, LIKELY
    if is_beyond and not evidence.overtaken:
        return max(0, until - (missing + 1) * usual), counted_both
    if evidence.is_clocked:
        return 0, LIKELY
    if evidence.sent_apart is not None:
        return _by_clock(evidence, evidence.sent_apart)
    if evidence.overtaken:
        return 0, LIKELY
    if evidence.lost == 0:
        return until, WEAK
    return (0, WEAK) if evidence.restarted else None


def _by_clock(evidence: WireEvidence, sent_apart: int) -> tuple[int, float]:
    """The same where nothing was lost, or nothing tells it."""
    longer = max(0, evidence.until_first - sent_apart)
    has_queue = (evidence.delay or 0) > _QUEUED and evidence.is_paced
    if has_queue:
        return 0, LIKELY
    server = max(0, evidence.until_first - longer)
    if longer > server:
        return server, CERTAIN if evidence.lost == 0 else LIKELY
    if evidence.lost is None and evidence.timeouts_first is None:
        return (0, WEAK) if evidence.restarted else (server, WEAK)
    if evidence.lost is None:
        return (0, WEAK) if evidence.restarted else (server, LIKELY)
    return server, CERTAIN


def _kind(evidence: WireEvidence) -> WireKind:
    was_lost = evidence.lost or (evidence.lost is None and evidence.is_sent_again)
    if was_lost or evidence.timeouts or (evidence.hole and not evidence.overtaken):
        return "loss"
    if evidence.overtaken or evidence.waited or evidence.is_sent_again:
        return "reorder"
    if evidence.is_paced:
        return "rate"
    if evidence.is_rising or evidence.is_clocked:
        return "queueing"
    return "loss" if evidence.restarted else "delay"


def _told(kind: WireKind, evidence: WireEvidence) -> str:
    """The evidence for the network."""
    match kind:
        case "loss":
            return ", ".join(_of_loss(evidence))
        case "reorder":
            late = counted(evidence.waited or evidence.overtaken or 0, "later one")
            again = "it was sent again, but not lost" if evidence.is_sent_again else "nothing was sent again"
            return f"a segment was overtaken by {late}, which waited for it; {again}"
        case "rate":
            return (
                "segments came one after the other at a steady rate, each after as long as it is: a link at its limit"
            )
        case "queueing" if evidence.is_clocked:
            return "texts came joined, as soon as our acknowledgement allowed: they had waited in the server's kernel"
        case _:
            apart = shown(evidence.sent_apart or 0)
            longer = shown((evidence.delay or 0) - (evidence.delay_before or 0))
            grew = "a queue on the way had grown" if kind == "queueing" else "nothing was lost"
            return f"sent {apart} after the one before by the server's clock, {longer} longer on its way; {grew}"


def _of_loss(evidence: WireEvidence) -> Iterator[str]:
    if evidence.lost:
        yield f"{counted(evidence.lost, 'packet')} of the server never arrived"
    if evidence.is_sent_again:
        yield "the segment that ended it was a retransmission"
    if evidence.timeouts:
        yield f"the server's retransmission timer ran out ({counted(evidence.timeouts, 'new flow label')})"
    if evidence.waited:
        yield f"{counted(evidence.waited, 'later segment')} waited behind the hole"
    if evidence.restarted and not evidence.lost:
        yield "one segment came alone, as after a retransmission timeout"


def _sent_late(evidence: WireEvidence) -> str:
    lost = "no packet was lost" if evidence.lost == 0 else ""
    if evidence.lost:
        lost = f"only {counted(evidence.lost, 'packet')} of that time never arrived"
    apart = evidence.sent_apart if evidence.sent_apart is not None else evidence.until_first
    words = f"the server sent nothing for {shown(apart)}"
    return f"{words} by its own clock{', and ' * bool(lost)}{lost}" if evidence.sent_apart is not None else words


def _unsure(evidence: WireEvidence) -> str:
    doubts = [*evidence.doubts]
    if evidence.dropped:
        doubts.append(f"the capture itself dropped {counted(evidence.dropped, 'packet')}")
    return f" ({'; '.join(doubts)})" if doubts else ""


def shown(span: int) -> str:
    """A time in ns for people."""
    return f"{span / MS:.0f} ms"
