"""Divides the stall in which a stream of the reference server died: it has no token at its end.

It is the network's when the server kept sending, without what the server was behind its own schedule at most, which is
unknown; all of it from a half of the stall on. It is the server's when all that it sent had arrived, and more was to
come: until the client left, it sent nothing. What the client's event loop woke late meanwhile is the client's.
Where a host of a lab was seen ending the stream (`closings`), it is that of something in between. Without a record of
the server it is unknown.
"""

from __future__ import annotations

from chaoskit.analysis.attribution.evidence import LATE, StreamEvidence
from chaoskit.analysis.attribution.verdict import Doubt, GapEvidence, Lateness, Stall, Verdict, shown
from chaoskit.analysis.result import Confidence, NetworkKind
from chaoskit.analysis.streams.gaps import Gap
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import ServedResponse

_LATE_SHARE = 10  # a tenth of a stall


def of_death(stall: Stall, evidence: StreamEvidence, socket: GapEvidence) -> Verdict | None:
    """The verdict on a stall in which the stream died; None where nothing is known."""
    gap, time = stall.gap, float(stall.time)
    records = (stall.records, *socket.samples)
    if gap.stream in evidence.cut_off:
        sentence = "a host in between ended the stream, after it had waited for another one"
        return Verdict(stall, Lateness(between=time), "exact", sentence, records)
    late = evidence.client_late_in(gap)
    client = min(time, late) if _is_late(late, gap) else 0.0
    doubt = Doubt("client", late) if client else None
    own = f"the client itself did not look for up to {shown(late)}; " if client else ""
    time -= client
    if gap.stream in evidence.server_was_silent:
        parts = Lateness(server=time, client=client)
        sentence = f"{own}all that the server had sent had arrived, and it sent no more"
        records = (*records, f"{FILES[ServedResponse]}: stream {gap.stream}")
        return Verdict(stall, parts, "likely" if client else "exact", sentence, records, None, doubt)
    if gap.stream not in evidence.server_kept_sending:
        if stall.before.sent is not None and gap.stream not in evidence.server_late:
            doubt, why = doubt or Doubt("dead-without-record"), "the server left no record of it"
        elif not client:
            return None
        else:
            why = "what came of the rest is not known"
        parts = Lateness(unknown=time, client=client)
        return Verdict(stall, parts, "likely" if client else "none", f"{own}{why}", records, None, doubt)
    records = (*records, f"{FILES[ServedResponse]}: stream {gap.stream}")
    server_late = evidence.server_late.get(gap.stream, 0)
    sent_on = f"{own}the server sent tokens that never arrived"
    kind: NetworkKind = "black-hole"
    if not _is_late(server_late, gap):
        confidence: Confidence = "likely" if client else "exact"
        parts = Lateness(network=time, client=client)
        return Verdict(stall, parts, confidence, sent_on, records, kind, doubt)
    unknown = min(time, float(server_late)) if server_late < time / 2 else time
    parts = Lateness(network=time - unknown, unknown=unknown, client=client)
    sentence = f"{sent_on}, and was up to {shown(server_late)} behind its own schedule"
    confidence = "likely" if unknown < time else "none"
    late_doubt = Doubt("dead-while-late", server_late)
    return Verdict(stall, parts, confidence, sentence, records, kind if parts.network else None, late_doubt)


def _is_late(late: int, gap: Gap) -> bool:
    return late > max(LATE, gap.excess // _LATE_SHARE)
