"""Gives the verdict on each stall by the strongest evidence that there is, and adds verdicts up.

| evidence                                        | module     | confidence                                   |
|-------------------------------------------------|------------|----------------------------------------------|
| the reference server's stamps, and its records  | `stamps`, `deaths` | exact, unless something limits it    |
| the headers of its packets, where captured      | `headers`  | likely                                       |
| where they passed the routers of a lab           | `link_places` | likely; adds the place to every verdict   |
| something in between holds the stream back      | here       | likely                                       |
| the client's own socket in the silence          | `silences` | likely                                       |
| nothing                                         | here       | none: unknown                                |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.attribution.deaths import of_death
from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.headers import by_headers
from chaoskit.analysis.attribution.link_places import placed
from chaoskit.analysis.attribution.silences import by_silence
from chaoskit.analysis.attribution.stamps import by_stamps
from chaoskit.analysis.attribution.verdict import (
    Doubt,
    DoubtKind,
    GapEvidence,
    Lateness,
    Stall,
    Verdict,
    shown,
    stalls_of,
)
from chaoskit.analysis.result import Confidence, NetworkKind, StallAttribution
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.gaps import Gaps, GapTable
from chaoskit.units import counted

_UNSTAMPED = "the target stamps no events: causes are what the client's own sockets tell"


def verdicts(gaps: Gaps, evidence: StreamEvidence) -> list[Verdict]:
    """The verdicts on the stalls among these gaps."""
    return [verdict_on(stall, gaps.table, evidence) for stall in stalls_of(gaps)]


def verdict_on(stall: Stall, table: GapTable, evidence: StreamEvidence) -> Verdict:
    """The verdict by the strongest evidence."""
    stream, socket = stall.gap.stream, evidence.sockets.of(stall, table)
    if stall.after is None:
        found = of_death(stall, evidence, socket)
    else:
        found = by_stamps(stall, stream in table.computed, evidence, socket)
    if found is None or found.confidence == "none":
        found = by_headers(stall, evidence, socket) or found
    found = found or _in_between(stall, evidence) or by_silence(stall, socket) or _unknown(stall, socket)
    return placed(found, evidence)


def attribution(found: Sequence[Verdict]) -> StallAttribution:
    """The sums of these verdicts."""
    sums = Lateness(*(sum(each) for each in zip(Lateness(), *(verdict.parts for verdict in found), strict=True)))
    confidence, reason = _confidence(found)
    kinds: dict[NetworkKind, float] = {}
    places: dict[str, float] = {}
    for each in found:
        if each.kind is not None and each.parts.network:
            kinds[each.kind] = kinds.get(each.kind, 0.0) + each.parts.network / MS
        if each.place:
            places[each.place] = places.get(each.place, 0.0) + each.parts.network / MS
    return StallAttribution(
        stalls=len(found),
        server_ms=sums.server / MS,
        between_ms=sums.between / MS,
        network_ms=sums.network / MS,
        network_kinds=dict(sorted(kinds.items(), key=lambda item: -item[1])),
        network_places=dict(sorted(places.items(), key=lambda item: -item[1])),
        client_ms=sums.client / MS,
        unknown_ms=sums.unknown / MS,
        confidence=confidence,
        reason=reason,
    )


def _in_between(stall: Stall, evidence: StreamEvidence) -> Verdict | None:
    if stall.gap.stream not in evidence.held_back or stall.after is None:
        return None
    sentence = "the stream came in pieces that something in between held back"
    parts = Lateness(between=stall.time)
    return Verdict(stall, parts, "likely", sentence, (stall.records,), doubt=Doubt("no-stamps"))


def _unknown(stall: Stall, socket: GapEvidence) -> Verdict:
    sentence = "nothing tells whose it is"
    records = (stall.records, *socket.samples)
    return Verdict(stall, Lateness(unknown=stall.time), "none", sentence, records, doubt=Doubt("no-stamps"))


def _confidence(found: Sequence[Verdict]) -> tuple[Confidence, str]:
    if all(each.confidence == "exact" for each in found):
        return "exact", ""
    is_known = any(each.parts.unknown < sum(each.parts) for each in found)
    return "likely" if is_known else "none", "; ".join(_reasons(found))


def _reasons(found: Sequence[Verdict]) -> Iterator[str]:
    """What limits the confidence, one sentence for each kind."""
    by_kind: dict[DoubtKind, list[Verdict]] = {}
    for each in found:
        if each.doubt is not None:
            by_kind.setdefault(each.doubt.kind, []).append(each)
    if seen := by_kind.get("headers"):
        yield f"by the headers of the packets: {counted(len(seen), 'stall')}"
    if "no-stamps" in by_kind:
        yield _UNSTAMPED
    if dead := by_kind.get("dead-while-late"):
        yield f"{_streams_died(dead)} while the server was up to {_longest(dead)} behind its own schedule"
    if dead := by_kind.get("dead-without-record"):
        yield f"{_streams_died(dead)} of which the server left no record"
    if deaf := by_kind.get("client"):
        stalls = counted(len(deaf), "stall")
        yield f"the client itself did not look at its sockets for up to {_longest(deaf)} during {stalls}"


def _longest(found: Sequence[Verdict]) -> str:
    return shown(max(each.doubt.late for each in found if each.doubt is not None))


def _streams_died(found: Sequence[Verdict]) -> str:
    return f"{counted(len(found), 'stream')} died"
