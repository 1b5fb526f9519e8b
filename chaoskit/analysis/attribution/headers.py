"""Divides a stall by the headers of the packets that were captured meanwhile (`analysis/segments`).

The longest silence on the connection is divided by its packets. What is left of the gap, in which data kept coming, is
the client's as far as it had not looked at its sockets. Else it is the server's where keepalives came, which are no
text; parts of a token say nothing, and it is divided like the silence.

Where something in between held the stream back, what would be the server's is its: it is the far end of the connection.
"""

from __future__ import annotations

from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.silences import DEAF, FEWEST, had_to_wait
from chaoskit.analysis.attribution.verdict import Doubt, GapEvidence, Lateness, Stall, Verdict, shown
from chaoskit.analysis.segments.cause import cause
from chaoskit.analysis.segments.gap_evidence import WireEvidence, gap_evidence
from chaoskit.records.pcapng import CAPTURE
from chaoskit.units import counted


def by_headers(stall: Stall, evidence: StreamEvidence, socket: GapEvidence) -> Verdict | None:
    """The verdict; None where the stall's connection was not captured, or its packets tell nothing."""
    stream, gap, after = stall.gap.stream, stall.gap, stall.after
    connection = evidence.capture.connection(evidence.ports.get(stream), gap.begin)
    if connection is None:
        return None
    found = gap_evidence(connection, gap.begin, gap.end if after is None else after.at)
    told = cause(found)
    if told.side == "unknown":
        return None
    if told.side == "server" and had_to_wait(socket) and socket.missing >= FEWEST:
        return _had_to_wait(stall, socket, found)
    left = max(0, gap.length - found.silence)
    deaf = min(left, socket.deaf) if socket.deaf > DEAF else 0
    other = left - deaf if socket.alive else 0
    total = told.network + told.server + told.client + deaf + other
    part = stall.time / total if total else 0.0
    server = part * (told.server + other)
    is_held = stream in evidence.held_back
    parts = Lateness(
        server=0.0 if is_held else server,
        network=part * told.network,
        client=part * (told.client + deaf),
        between=server if is_held else 0.0,
    )
    sentence = told.sentence
    if parts.cause == "client" and deaf:
        sentence = f"the client itself had not looked at its sockets for {shown(deaf)}, while segments arrived"
    records = (stall.records, f"{CAPTURE}: packets {', '.join(map(str, found.packets))}")
    return Verdict(stall, parts, "likely", sentence, records, told.kind, Doubt("headers"))


def _had_to_wait(stall: Stall, socket: GapEvidence, found: WireEvidence) -> Verdict:
    """Its packets were sent late by the server's clock, because its kernel had to wait with what was written."""
    due = counted(round(socket.missing), "token")
    sentence = f"{due} were due meanwhile and came joined in full segments: the sender's kernel had to wait with them"
    records = (stall.records, f"{CAPTURE}: packets {', '.join(map(str, found.packets))}")
    return Verdict(stall, Lateness.of("network", stall.time), "likely", sentence, records, "queueing", Doubt("headers"))
