"""Attributes the time of each stall to the server, the network or the client.

| the target          | evidence                                                                        | confidence |
|---------------------|---------------------------------------------------------------------------------|------------|
| stamps its events   | a gap's lateness is a sum: sent later than due (server), longer in transit than | exact      |
|                     | the token before (network), read later than it arrived (client)                 |            |
| does not            | the gap ended in a burst, on a connection with out-of-order segments: what      | likely     |
|                     | followed the lost segment had arrived and waited for it (network)               |            |
| computed it         | what it planned is a part of a gap, too: the time of its steps (server)         | exact      |
| either              | something between client and server held the stream back (`buffering`)          | its own    |
| does not            | anything else: the server may have paused, or everything arrived later          | none       |

Behind a program of a service lab, what would be the network's is something in between's, unless the client's own
connection received segments out of order.

Only differences of one clock are used. The gap in which a stream died has no token at its end: it is attributed to the
network when the server kept sending, without what the server was behind its own schedule at most, else it is unknown.
Where a host of a lab was seen ending the stream (`closings`), it is that of something in between.

A process that does not run stamps nothing meanwhile. So an attribution is only likely, and says why:

| doubt                                                   | what it takes away                                         |
|---------------------------------------------------------|------------------------------------------------------------|
| a stream died, and the server was late in it            | that much is unknown, not the network's; all of it from a  |
|                                                         | half of the stall on                                       |
| a stream died, and there is no record of the server     | it is unknown                                              |
| the client's event loop woke late during the gap        | that much of the network's time is unknown where the       |
|                                                         | tokens have no stamp of the kernel, which a late read is   |
|                                                         | taken for                                                  |

Lateness counts from 20 ms on, and from a tenth of the stall.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import Confidence, StallAttribution
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.gaps import Gap, Gaps, GapTable, Token
from chaoskit.records.model import ServedResponse, TcpInfo, Vitals
from chaoskit.units import counted

_LIKELY = "the target stamps no events; gaps that ended in a burst after out-of-order segments count as the network's"
_UNKNOWN = "the target stamps no events, and no gap ended in a burst after out-of-order segments"
_LATE = 20 * MS  # as `health` has it
_LATE_SHARE = 10  # a tenth of a stall
_VITALS_INTERVAL = 500 * MS  # a line has the longest wait since the line before


@dataclass(frozen=True)
class StreamEvidence:
    """What is known beside the stamps.

    `server_kept_sending` are the streams whose server sent more than arrived, `out_of_order` those during which
    their connection received segments out of order, `held_back` those that something in between held back, `cut_off`
    those that a host in between ended.
    `server_late` is how far the server was behind its schedule at most, ns, by stream: a stream without it has no
    record of the server. `client_late` is when the event loop of one of the client's `processes` had woken late, in
    order of time, by how much, ns, and which one. The processes took the streams in turn.
    """

    server_kept_sending: Set[int] = frozenset()
    out_of_order: Set[int] = frozenset()
    held_back: Set[int] = frozenset()
    server_late: Mapping[int, int] = field(default_factory=dict)
    client_late: Sequence[tuple[int, int, int]] = ()
    processes: int = 1
    cut_off: Set[int] = frozenset()

    def client_late_in(self, gap: Gap) -> int:
        """How late the event loop of its process woke during a gap at most, ns."""
        place = bisect_left(self.client_late, (gap.begin, 0, 0))
        found = 0
        for at, lag, process in self.client_late[place:]:
            if at - _VITALS_INTERVAL > gap.end:
                break
            if process == gap.stream % self.processes:
                found = max(found, lag)
        return found


def stream_evidence(
    arrived: Mapping[int, int],
    infos: Iterable[TcpInfo],
    served: Iterable[ServedResponse],
    vitals: Sequence[Vitals],
    held: Set[int],
    cut_off: Set[int] = frozenset(),
) -> StreamEvidence:
    """From the records; `arrived` has the number of each stream's tokens."""
    known = [one for one in served if one.stream in arrived]
    return StreamEvidence(
        frozenset(one.stream for one in known if one.stream is not None and one.tokens_sent > arrived[one.stream]),
        out_of_order_streams(infos),
        held,
        {one.stream: one.max_late for one in known if one.stream is not None},
        sorted((line.at, line.lag, line.process or 0) for line in vitals if line.lag > _LATE),
        1 + max((line.process or 0 for line in vitals), default=0),
        cut_off,
    )


def out_of_order_streams(infos: Iterable[TcpInfo]) -> frozenset[int]:
    """The streams during which segments arrived out of order, by the receiver's `rcv_ooopack`."""
    first: dict[int, int] = {}
    found = set()
    for info in infos:
        count = info.fields.get("rcv_ooopack")
        if count is not None and count > first.setdefault(info.stream, count):
            found.add(info.stream)
    return frozenset(found)


class Lateness(NamedTuple):
    """The time of a stall by cause, ns."""

    server: float = 0.0
    network: float = 0.0
    client: float = 0.0
    unknown: float = 0.0
    between: float = 0.0


class Stall(NamedTuple):
    """A gap that is a stall, the tokens around it, and whether the second arrived with others in one read."""

    gap: Gap
    before: Token
    after: Token | None
    ends_in_burst: bool


def attribute_stalls(gaps: Gaps, evidence: StreamEvidence) -> StallAttribution:
    """The attribution of the stalls among these gaps."""
    bursts = _bursts(gaps)
    stalls = [Stall(gap, *gaps.table.tokens_around(gap), gap.row in bursts) for gap in gaps.stalls]
    doubts = _Doubts()
    latenesses = [_held(_lateness(stall, gaps.table, evidence, doubts), stall, evidence) for stall in stalls]
    confidence, reason = _confidence(stalls, latenesses, doubts)
    return StallAttribution(
        stalls=len(latenesses),
        server_ms=sum(lateness.server for lateness in latenesses) / MS,
        between_ms=sum(lateness.between for lateness in latenesses) / MS,
        network_ms=sum(lateness.network for lateness in latenesses) / MS,
        client_ms=sum(lateness.client for lateness in latenesses) / MS,
        unknown_ms=sum(lateness.unknown for lateness in latenesses) / MS,
        confidence=confidence,
        reason=reason,
    )


def _held(found: Lateness, stall: Stall, evidence: StreamEvidence) -> Lateness:
    """Of a stream that was held back, what is not the server's or the client's is that."""
    if stall.gap.stream not in evidence.held_back or stall.after is None:
        return found
    return found._replace(network=0.0, unknown=0.0, between=found.network + found.unknown)


def _bursts(gaps: Gaps) -> Set[int]:
    """The rows of the stalls that ended with several tokens in one read: the next row's gap lies within that read."""
    rows, is_next = gaps.rows, np.append(np.diff(gaps.rows) == 1, False)
    found = gaps.are_stalls & is_next & np.append(gaps.are_coalesced[1:], False)
    return set(rows[found].tolist())


@dataclass
class _Doubts:
    """How many stalls are in doubt for each reason, and the longest lateness, ns."""

    dead_while_late: int = 0
    server_late: int = 0
    dead_without_record: int = 0
    in_late_client: int = 0
    client_late: int = 0

    def sentences(self) -> Iterable[str]:
        """One for each reason."""
        if self.dead_while_late:
            late = format_value(self.server_late / MS, "ms")
            yield f"{_streams_died(self.dead_while_late)} while the server was up to {late} behind its own schedule"
        if self.dead_without_record:
            yield f"{_streams_died(self.dead_without_record)} of which the server left no record"
        if self.in_late_client:
            late = format_value(self.client_late / MS, "ms")
            yield f"the client itself woke up to {late} late during {counted(self.in_late_client, 'stall')}"


def _streams_died(count: int) -> str:
    return f"{counted(count, 'stream')} died"


def _lateness(stall: Stall, table: GapTable, evidence: StreamEvidence, doubts: _Doubts) -> Lateness:
    gap, before, after, ends_in_a_burst = stall
    time = float(gap.excess - table.reader.stall)
    if after is None:
        return _of_death(gap, time, before, evidence, doubts)
    if after.due is None or after.sent is None or before.due is None or before.sent is None:
        is_network = ends_in_a_burst and gap.stream in evidence.out_of_order
        return Lateness(network=time) if is_network else Lateness(unknown=time)
    server = max(0, (after.sent - after.due) - (before.sent - before.due))
    if gap.stream in table.computed:
        server = max(0, after.sent - before.sent)
    network = max(0, (after.at - after.sent) - (before.at - before.sent))
    client = max(0, (after.user - after.at) - (before.user - before.at))
    unknown = 0
    client_late = evidence.client_late_in(gap)
    if _is_late(client_late, gap):
        doubts.in_late_client += 1
        doubts.client_late = max(doubts.client_late, client_late)
        if after.user == after.at:
            unknown = min(network, client_late)
    total = server + network + client
    if not total:
        return Lateness(unknown=time)
    part = time / total
    return Lateness(part * server, part * (network - unknown), part * client, part * unknown)


def _of_death(gap: Gap, time: float, before: Token, evidence: StreamEvidence, doubts: _Doubts) -> Lateness:
    if gap.stream in evidence.cut_off:
        return Lateness(between=time)
    if gap.stream not in evidence.server_kept_sending:
        if before.sent is not None and gap.stream not in evidence.server_late:
            doubts.dead_without_record += 1
        return Lateness(unknown=time)
    late = evidence.server_late.get(gap.stream, 0)
    if not _is_late(late, gap):
        return Lateness(network=time)
    doubts.dead_while_late += 1
    doubts.server_late = max(doubts.server_late, late)
    unknown = float(late) if late < time / 2 else time
    return Lateness(network=time - unknown, unknown=unknown)


def _is_late(late: int, gap: Gap) -> bool:
    return late > max(_LATE, gap.excess // _LATE_SHARE)


def _confidence(stalls: Sequence[Stall], latenesses: Sequence[Lateness], doubts: _Doubts) -> tuple[Confidence, str]:
    unstamped = [lateness for stall, lateness in zip(stalls, latenesses, strict=True) if stall.before.sent is None]
    reasons = list(doubts.sentences())
    if not unstamped and not reasons:
        return "exact", ""
    found = any(lateness.network or lateness.between for lateness in unstamped)
    if unstamped:
        reasons.insert(0, _LIKELY if found else _UNKNOWN)
    is_known = any(lateness.unknown < sum(lateness) for lateness in latenesses)
    return ("likely" if is_known and (found or not unstamped) else "none"), "; ".join(reasons)
