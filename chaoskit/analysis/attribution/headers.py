"""Divides a stall by the headers of the packets that were captured meanwhile (`analysis/segments`).

The longest silence on the connection is divided by its packets. What is left of the gap, in which data kept coming, is
the client's as far as it had not looked at its sockets. Else it is the server's where keepalives came, which are no
text; parts of a token say nothing, and it is divided like the silence.

A client that did not look for all of a gap has it itself: without any trouble of the others it would be as long.
Where something in between held the stream back, what would be the server's is its: it is the far end of the connection.
"""

from __future__ import annotations

from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.silences import DEAF, FEWEST, had_to_wait
from chaoskit.analysis.attribution.verdict import Doubt, GapEvidence, Lateness, Stall, Verdict, shown
from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.cause import cause
from chaoskit.analysis.segments.death import Death, death
from chaoskit.analysis.segments.gap_evidence import WireEvidence, gap_evidence
from chaoskit.records.pcapng import CAPTURE
from chaoskit.units import counted

_WHOLE = 0.9  # of a gap


def by_headers(stall: Stall, evidence: StreamEvidence, socket: GapEvidence) -> Verdict | None:
    """The verdict; None where the stall's connection was not captured, or its packets tell nothing."""
    stream, gap, after = stall.gap.stream, stall.gap, stall.after
    connection = evidence.capture.connection(evidence.ports.get(stream), gap.begin)
    if connection is None:
        return None
    if after is None:
        return _of_death(stall, connection)
    if socket.deaf > max(DEAF, _WHOLE * gap.length):
        return _deaf(stall, socket)
    found = gap_evidence(connection, gap.begin, after.at)
    told = cause(found)
    if told.side == "unknown":
        return None
    if told.side == "server" and found.was_limited is not False and had_to_wait(socket) and socket.missing >= FEWEST:
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
    return Verdict(stall, parts, "likely", sentence, _records(stall, found.packets), told.kind, Doubt("headers"))


def _deaf(stall: Stall, socket: GapEvidence) -> Verdict:
    sentence = f"the client itself had not looked at its sockets for {shown(socket.deaf)}: nothing could have ended it"
    return Verdict(
        stall, Lateness.of("client", stall.time), "likely", sentence, (stall.records,), None, Doubt("headers")
    )


def death_of(stream: int, ended: int, evidence: StreamEvidence) -> Death | None:
    """What the packets tell of the end of a stream that was interrupted; None where they were not captured."""
    connection = evidence.capture.connection(evidence.ports.get(stream), ended)
    return None if connection is None else death(connection, ended)


def _of_death(stall: Stall, connection: Segments) -> Verdict | None:
    told, packets = death(connection, stall.gap.end)
    time = told.network + told.server + told.client + told.between
    if told.side == "unknown" or not time:
        return None
    part = stall.time / time
    parts = Lateness(part * told.server, part * told.network, part * told.client, part * told.between)
    return Verdict(stall, parts, "likely", told.sentence, _records(stall, packets), told.kind, Doubt("headers"))


def _records(stall: Stall, packets: tuple[int, ...]) -> tuple[str, ...]:
    return stall.records, f"{CAPTURE}: packets {', '.join(map(str, packets))}"


def _had_to_wait(stall: Stall, socket: GapEvidence, found: WireEvidence) -> Verdict:
    """Its packets were sent late by the server's clock, because its kernel had to wait with what was written."""
    due = counted(round(socket.missing), "token")
    sentence = f"{due} were due meanwhile and came joined in full segments: the sender's kernel had to wait with them"
    parts = Lateness.of("network", stall.time)
    return Verdict(stall, parts, "likely", sentence, _records(stall, found.packets), "queueing", Doubt("headers"))
