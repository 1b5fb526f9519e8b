"""Says on which links of a lab the time of a stall was spent, by what passed its routers.

`analysis/segments/links` follows the packets.

| what the links show of the text that was awaited                                    | whose                       |
|-------------------------------------------------------------------------------------|-----------------------------|
| it left the far end in time, and was lost, or long on its way, on a stretch of links | the network's, there        |
| it left the far end late, and nothing was lost meanwhile                            | the server's, or between's: |
|                                                                                     | that of who held it back    |
| it left late, after a loss, or as soon as an acknowledgement allowed                | as the other evidence says  |
| the stream died: what left the far end never arrived                                | the network's, there        |
| the stream died, and nothing left the far end                                       | the server's                |

What stamps tell exactly keeps its cause, and gets its place. Where a router's capture dropped packets a missing one
proves nothing: then causes stay as they are, and the place is told with that doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.verdict import Doubt, Lateness, Verdict, shown
from chaoskit.analysis.result import NetworkKind
from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.gap_evidence import WireEvidence, gap_evidence
from chaoskit.analysis.segments.links import Sent, Way
from chaoskit.records.pcapng import CAPTURE
from chaoskit.units import counted

_FEW = 3  # packets that are named
_WHOLE = 0.5  # of a silence
_RECENTLY = 1_000_000_000  # ns before a silence


def placed(verdict: Verdict, evidence: StreamEvidence) -> Verdict:
    """The verdict with its place, where the links tell one; where it was not exact, what they tell comes first."""
    stall = verdict.stall
    connection = evidence.capture.connection(evidence.ports.get(stall.gap.stream), stall.gap.begin)
    way = evidence.links.way(connection) if connection is not None else None
    end = stall.gap.end if stall.after is None else stall.after.at
    if connection is None or way is None or way.until < end:
        return verdict
    found = gap_evidence(connection, stall.gap.begin, end)
    if found.ending != "segment" or len(found.packets) < 2:
        told = _of_death(verdict, way, (stall.gap.begin, end), evidence.origin)
    else:
        copies = _copies(connection, found, way)
        told = _of_silence(verdict, copies, found, way, evidence.origin) if copies is not None else verdict
    is_held = stall.gap.stream in evidence.held_back and told.parts != verdict.parts
    server, between = told.parts.server, told.parts.between
    return replace(told, parts=told.parts._replace(server=0.0, between=between + server)) if is_held else told


def _copies(connection: Segments, found: WireEvidence, way: Way) -> tuple[Sent, list[Sent]] | None:
    """What was read last before the silence, and all copies of what ended it, in the order in which they left."""
    numbers, seq = connection.down.number, connection.down.seq
    before, after = (int(np.flatnonzero(numbers == number)[0]) for number in (found.packets[0], found.packets[-1]))
    arrived = int(connection.down.at[after])
    awaited = [each for each in way.with_byte(int(seq[after])) if each.left <= arrived]
    former = [each for each in way.with_byte(int(seq[before])) if each.arrived == int(connection.down.at[before])]
    return (former[0], awaited) if awaited and former else None


def _of_silence(
    verdict: Verdict, copies: tuple[Sent, list[Sent]], found: WireEvidence, way: Way, origin: int
) -> Verdict:
    former, awaited = copies
    first = awaited[0]
    came = next((each for each in awaited if each.arrived is not None), None)
    if came is None or came.arrived is None or former.arrived is None:
        return verdict
    longer = (came.arrived - first.left) - (former.arrived - former.left)
    network = min(found.silence, max(0, longer)) / max(1, found.silence)
    shares = Lateness(network=network, server=1 - network)
    if network >= _WHOLE:
        lost = [each for each in awaited if each.lost_on is not None and each.left < came.arrived]
        where = way.named(lost[0].lost_on or 0) if lost else way.named(way.slowest(came)[0])
        kind: NetworkKind = "loss" if lost else _kind(verdict, way, came.arrived, "delay")
        told = f"left {way.far} at {_at(first.left, origin)}, {_network(first, came, lost, way)}"
        is_new = verdict.cause in ("server", "unknown", "between")
        return _OnLinks(way, told, awaited, kind, where).told_of(verdict, shares if is_new else None)
    apart = first.left - former.left
    when = f"{shown(abs(apart))} {'after' if apart >= 0 else 'earlier than'} what came before it"
    told = f"left {way.far} only at {_at(first.left, origin)}, {when}"
    is_clean = not way.has_lost(former.left - 1, first.left)
    had_to_wait = found.is_clocked or found.is_window_closed or verdict.kind in ("queueing", "rate")
    is_new = is_clean and not had_to_wait and verdict.cause in ("network", "unknown")
    was_lost = way.has_lost(verdict.stall.gap.begin - 2 * (found.round_trip or 0), first.left)
    kind = "loss" if was_lost else _kind(verdict, way, came.arrived, "queueing")
    return _OnLinks(way, told, [former, first], kind if verdict.cause == "network" else None).told_of(
        verdict, shares if is_new else None
    )


def _kind(verdict: Verdict, way: Way, end: int, usual: NetworkKind) -> NetworkKind:
    """What the network did with text that it did not lose. A sender takes a changed order for a loss, and waits."""
    if way.changes_order(verdict.stall.gap.begin - _RECENTLY, end):
        return "reorder"
    return verdict.kind if verdict.kind in ("queueing", "rate") else usual


def _network(first: Sent, came: Sent, lost: Sequence[Sent], way: Way) -> str:
    """How what was awaited came."""
    assert came.arrived is not None
    if lost:
        times = f" {len(lost)} times" if len(lost) > 1 else ""
        later, took = shown(came.left - first.left), shown(came.arrived - came.left)
        where = way.named(lost[0].lost_on or 0)
        return f"lost {where}{times}; the copy that arrived left {later} later, and took {took}"
    stretch, longer = way.slowest(came)
    return f"arrived {shown(came.arrived - first.left)} later, {shown(longer)} longer than usual {way.named(stretch)}"


def _of_death(verdict: Verdict, way: Way, time: tuple[int, int], origin: int) -> Verdict:
    sent = way.between(*time)
    lost = [each for each in sent if each.lost_on is not None]
    if verdict.stall.after is not None or (sent and not lost):
        return verdict
    is_new = verdict.cause in ("server", "unknown", "network")
    if not lost:
        told = f"nothing left {way.far} in {shown(time[1] - time[0])}, to the end"
        return _OnLinks(way, told).told_of(verdict, Lateness(server=1.0) if is_new else None)
    where = way.named(lost[0].lost_on or 0)
    from_then = _at(lost[0].left, origin)
    told = f"{counted(len(lost), 'packet')} left {way.far} from {from_then} on, and were lost {where}: none came"
    return _OnLinks(way, told, lost, "black-hole", where).told_of(verdict, Lateness(network=1.0) if is_new else None)


@dataclass(frozen=True)
class _OnLinks:
    """What the links tell of a stall: a sentence, the packets that it rests on, what the network did, and where."""

    way: Way
    sentence: str
    packets: Sequence[Sent] = ()
    kind: NetworkKind | None = None
    place: str = ""

    def told_of(self, verdict: Verdict, shares: Lateness | None) -> Verdict:
        """The verdict with this; `shares` of its time by cause, where these are to come before what it says."""
        told = replace(verdict, records=(*verdict.records, *self._records()))
        if shares is None or verdict.confidence == "exact" or self.way.dropped:
            lost = counted(self.way.dropped, "packet")
            doubt = f" (not sure: captures dropped {lost})" if self.way.dropped else ""
            told = replace(told, sentence=f"{verdict.sentence}; on the links: {self.sentence}{doubt}")
            if self.kind is not None and not self.way.dropped:
                told = replace(told, kind=self.kind, kind_confidence="exact")
        else:
            parts = Lateness(*(share * verdict.stall.time for share in shares))
            sentence = f"on the links: {self.sentence}"
            told = replace(
                told, parts=parts, confidence="likely", sentence=sentence, kind=self.kind, doubt=Doubt("headers")
            )
            if told.cause != "network" or self.kind is None:
                told = replace(told, kind=None, kind_confidence="none")
            else:
                told = replace(told, kind_confidence="exact")
        return replace(told, place=self.place) if told.cause == "network" else told

    def _records(self) -> Iterator[str]:
        """Where the packets are, beside the client's capture."""
        files: dict[str, dict[int, None]] = {}
        for file, number in (record for each in self.packets[:_FEW] for record in each.records):
            if file != CAPTURE:
                files.setdefault(file, {})[number] = None
        for file, numbers in files.items():
            yield f"{file}: packets {', '.join(map(str, numbers))}"


def _at(stamp: int, origin: int) -> str:
    return f"{(stamp - origin) / 1e9:.3f} s"
