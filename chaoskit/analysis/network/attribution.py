"""Attributes the time of each stall to the server, the network or the client.

| the target          | evidence                                                                        | confidence |
|---------------------|---------------------------------------------------------------------------------|------------|
| stamps its events   | a gap's lateness is a sum: sent later than due (server), longer in transit than | exact      |
|                     | the token before (network), read later than it arrived (client)                 |            |
| does not            | the gap ended in a burst, on a connection with out-of-order segments: what      | likely     |
|                     | followed the lost segment had arrived and waited for it (network)               |            |
| either              | something between client and server held the stream back (`buffering`)          | its own    |
| does not            | anything else: the server may have paused, or everything arrived later          | none       |

Only differences of one clock are used. The gap in which a stream died is attributed to the network when the server
kept sending, else it is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from chaoskit.analysis.result import Confidence, StallAttribution
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.gaps import Gap, Gaps, Token
from chaoskit.records.model import TcpInfo

_LIKELY = "the target stamps no events; gaps that ended in a burst after out-of-order segments count as the network's"
_UNKNOWN = "the target stamps no events, and no gap ended in a burst after out-of-order segments"


@dataclass(frozen=True)
class StreamEvidence:
    """The numbers of streams whose server sent more than arrived, and of those during which their connection received
    segments out of order, and those that something between client and server held back."""

    server_kept_sending: Set[int] = frozenset()
    out_of_order: Set[int] = frozenset()
    held_back: Set[int] = frozenset()


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
    between: float = 0.0
    network: float = 0.0
    client: float = 0.0
    unknown: float = 0.0


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
    latenesses = [_lateness(stall, gaps.threshold, evidence) for stall in stalls]
    confidence, reason = _confidence(stalls, latenesses)
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


def _bursts(gaps: Gaps) -> Set[int]:
    """The rows of the stalls that ended with several tokens in one read: the next row's gap lies within that read."""
    rows, is_next = gaps.rows, np.append(np.diff(gaps.rows) == 1, False)
    found = gaps.are_stalls & is_next & np.append(gaps.are_coalesced[1:], False)
    return set(rows[found].tolist())


def _lateness(stall: Stall, threshold: int, evidence: StreamEvidence) -> Lateness:
    gap, before, after, ends_in_a_burst = stall
    time = float(gap.excess - threshold)
    is_held = gap.stream in evidence.held_back
    if after is None:
        return Lateness(network=time) if gap.stream in evidence.server_kept_sending else Lateness(unknown=time)
    if after.due is None or after.sent is None or before.due is None or before.sent is None:
        is_network = ends_in_a_burst and gap.stream in evidence.out_of_order
        if is_held:
            return Lateness(between=time)
        return Lateness(network=time) if is_network else Lateness(unknown=time)
    server = max(0, (after.sent - after.due) - (before.sent - before.due))
    network = max(0, (after.at - after.sent) - (before.at - before.sent))
    client = max(0, (after.user - after.at) - (before.user - before.at))
    total = server + network + client
    if not total:
        return Lateness(unknown=time)
    passing = time * network / total
    return Lateness(
        server=time * server / total,
        between=passing if is_held else 0.0,
        network=0.0 if is_held else passing,
        client=time * client / total,
    )


def _confidence(stalls: Sequence[Stall], latenesses: Sequence[Lateness]) -> tuple[Confidence, str]:
    unstamped = [lateness for stall, lateness in zip(stalls, latenesses, strict=True) if stall.before.sent is None]
    if not unstamped:
        return "exact", ""
    return (
        ("likely", _LIKELY)
        if any(lateness.network or lateness.between for lateness in unstamped)
        else ("none", _UNKNOWN)
    )
