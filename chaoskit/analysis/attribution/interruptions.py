"""Says whose each interruption was, by the strongest evidence that there is.

| evidence                                                                    | whose                               |
|-----------------------------------------------------------------------------|-------------------------------------|
| a namespace of a lab saw who ended the connection (`closings`)              | that of what is in between, or server |
| the same: what one end sent never arrived                                   | the network's                       |
| the verdict on the stall in which it died                                   | as that                             |
| an error status, an error event, bytes that are no protocol, a clean end    | the server's: the far end said so   |
| the packets of its end, where captured (`segments/death`)                   | as these                            |
| before its first token something waited for a segment that was missing      | the network's                       |
| what the client had sent, and sent again, was never acknowledged            | the network's                       |
| nothing answered when the client wanted to connect, for it or meanwhile     | the network's                       |
| anything else: a reset may come from anywhere on the way                    | unknown                             |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.headers import death_of
from chaoskit.analysis.attribution.verdict import CAUSES, Verdict
from chaoskit.analysis.network.closings import EndedStream
from chaoskit.analysis.result import Cause
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.records.model import TCP_HANDSHAKE

_LOST_ON_THE_WAY = ("end-lost", "unanswered", "syn-lost", "syn-ack-lost")
_ENDED = ("closed", "reset", "inside", "answered", "refused", "syn-unanswered")
_SILENT = ("idle_timeout", "first_token_timeout", "stream_timeout", "abandoned")
_SAID = ("http_error", "error_event", "protocol_error", "truncated", "too_large")


def interruption_causes(
    streams: Iterable[Stream],
    ended: Mapping[int, EndedStream],
    found: Iterable[Verdict],
    evidence: StreamEvidence,
) -> dict[Cause, int]:
    """How many of these streams, which were interrupted, have each cause."""
    died = {verdict.stall.gap.stream: verdict for verdict in found if verdict.stall.after is None}
    counts = Counter(
        interruption_cause(stream, ended.get(stream.number), died.get(stream.number), evidence) for stream in streams
    )
    return {cause: counts[cause] for cause in CAUSES if counts[cause]}


def interruption_cause(
    stream: Stream, ended: EndedStream | None, died: Verdict | None, evidence: StreamEvidence
) -> Cause:
    """Whose the interruption of a stream was; `died`: the verdict on the stall in which it did."""
    if ended is not None:
        if ended.kind in _LOST_ON_THE_WAY:
            return "network"
        if ended.kind == "reset-between" or ended.is_by_intermediary:
            return "between"
        if ended.kind in _ENDED:
            return "server"
    if died is not None and died.cause != "unknown":
        return died.cause
    if stream.request.completion in _SAID:
        return "server"
    captured = death_of(stream.number, stream.request.ended, evidence)
    if captured is not None and captured.told.side != "unknown":
        return captured.told.side
    is_network = (
        evidence.sockets.waited_at_end(stream.number)
        or evidence.sockets.was_unanswered(stream.number)
        or stream.request.detail.startswith(TCP_HANDSHAKE)
        or _path_was_dead(stream, evidence)
    )
    return "network" if is_network else "unknown"


def _path_was_dead(stream: Stream, evidence: StreamEvidence) -> bool:
    """Whether nothing that this client asked meanwhile was answered; a reset is an answer."""
    request = stream.request
    if request.completion not in _SILENT or request.sent is None:
        return False
    return evidence.attempts.went_unanswered(max(stream.last_sign_of_life, request.sent), request.ended)
