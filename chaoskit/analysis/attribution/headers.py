"""Divides a stall by the headers of the packets that were captured meanwhile (`analysis/segments`).

The longest silence on the connection is divided by its packets. What is left of the gap, in which data kept coming, is
the client's as far as it had not looked at its sockets, and else the server's, which sent something else.

Where something in between held the stream back, what would be the server's is its: it is the far end of the connection.
"""

from __future__ import annotations

from chaoskit.analysis.attribution.evidence import DEAF, StreamEvidence
from chaoskit.analysis.attribution.verdict import Doubt, Lateness, Stall, Verdict
from chaoskit.analysis.segments.cause import WireCause, cause
from chaoskit.analysis.segments.gap_evidence import gap_evidence


def by_headers(stall: Stall, evidence: StreamEvidence) -> Verdict | None:
    """The verdict; None where the stall's connection was not captured, or its packets tell nothing."""
    stream, gap, after = stall.gap.stream, stall.gap, stall.after
    connection = evidence.capture.connection(evidence.ports.get(stream), gap.begin)
    if connection is None:
        return None
    found = gap_evidence(connection, gap.begin, gap.end if after is None else after.at)
    told = cause(found)
    if told.side == "unknown":
        return None
    left, deaf = max(0, gap.length - found.silence), 0
    if after is not None and after.at - after.looked > DEAF:
        deaf = min(left, after.at - after.looked)
    total = told.network + told.server + told.client + left
    part = stall.time / total if total else 0.0
    server = part * (told.server + left - deaf)
    is_held = stream in evidence.held_back
    parts = Lateness(
        server=0.0 if is_held else server,
        network=part * told.network,
        client=part * (told.client + deaf),
        between=server if is_held else 0.0,
    )
    return Verdict(stall, parts, "likely", Doubt("packets"), told.kind, _sentence(told, stall))


def _sentence(told: WireCause, stall: Stall) -> str:
    return f"stream {stall.gap.stream}: {told.sentence}"
