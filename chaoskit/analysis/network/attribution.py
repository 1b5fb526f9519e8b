"""Whose fault was that stall? A late gap split between server, network and client.

| the target          | what tells                                                                      | how sure |
|---------------------|---------------------------------------------------------------------------------|----------|
| stamps its events   | a gap's lateness is a sum: sent later than due (server), longer on its way than | exact    |
|                     | the token before (network), read later than it arrived (client)                 |          |
| does not            | the gap ended in a burst, on a connection whose segments came out of order:     | likely   |
|                     | what came after the hole had arrived, and waited for it (network)               |          |
| does not            | anything else: the server may have paused, or everything came later             | not      |

Only differences of one clock are used. The gap in which a stream died is the network's when the server went on
sending, else nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from chaoskit.analysis.result import Blame, Confidence
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.gaps import STALL, Gap, Gaps, Token
from chaoskit.records.model import TcpInfo

_LIKELY = "the target stamps nothing; the network's are gaps that ended in a burst after segments out of order"
_UNSURE = "the target stamps nothing, and no gap ended in a burst after segments out of order"


@dataclass(frozen=True)
class Traces:
    """What else is known of streams, by number: those whose server sent more than arrived, and those of a
    connection on which segments came out of order meanwhile."""

    went_on: Set[int] = frozenset()
    disordered: Set[int] = frozenset()


def disordered(infos: Iterable[TcpInfo]) -> frozenset[int]:
    """The streams during which segments came out of order, by the receiver's own count."""
    first: dict[int, int] = {}
    found = set()
    for info in infos:
        count = info.fields.get("rcv_ooopack")
        if count is not None and count > first.setdefault(info.stream, count):
            found.add(info.stream)
    return frozenset(found)


class Late(NamedTuple):
    """Shares of a stall's time, ns."""

    server: float = 0.0
    network: float = 0.0
    client: float = 0.0
    unknown: float = 0.0


class Stall(NamedTuple):
    """A gap that is one, the tokens on both sides of it, and whether the second came with others in one read."""

    gap: Gap
    before: Token
    after: Token | None
    ends_in_a_burst: bool


def blame(gaps: Gaps, traces: Traces) -> Blame:
    """The stalls among these gaps."""
    bursts = _bursts(gaps)
    stalls = [Stall(gap, *gaps.table.sides(gap), gap.row in bursts) for gap in gaps.stalls]
    lates = [_late(stall, traces) for stall in stalls]
    confidence, reason = _confidence(stalls, lates)
    return Blame(
        stalls=len(lates),
        server_ms=sum(late.server for late in lates) / MS,
        network_ms=sum(late.network for late in lates) / MS,
        client_ms=sum(late.client for late in lates) / MS,
        unknown_ms=sum(late.unknown for late in lates) / MS,
        confidence=confidence,
        reason=reason,
    )


def _bursts(gaps: Gaps) -> Set[int]:
    """The rows of the stalls that ended with several tokens in one read: the next row's gap is of these, and has no
    length of its own."""
    rows, is_next = gaps.rows, np.append(np.diff(gaps.rows) == 1, False)
    found = gaps.are_stalls & is_next & np.append(gaps.are_coalesced[1:], False)
    return set(rows[found].tolist())


def _late(stall: Stall, traces: Traces) -> Late:
    gap, before, after, ends_in_a_burst = stall
    time = float(gap.excess - STALL)
    if after is None:
        return Late(network=time) if gap.stream in traces.went_on else Late(unknown=time)
    if after.due is None or after.sent is None or before.due is None or before.sent is None:
        held_up = ends_in_a_burst and gap.stream in traces.disordered
        return Late(network=time) if held_up else Late(unknown=time)
    server = max(0, (after.sent - after.due) - (before.sent - before.due))
    network = max(0, (after.at - after.sent) - (before.at - before.sent))
    client = max(0, (after.user - after.at) - (before.user - before.at))
    total = server + network + client
    if not total:
        return Late(unknown=time)
    return Late(time * server / total, time * network / total, time * client / total)


def _confidence(stalls: Sequence[Stall], lates: Sequence[Late]) -> tuple[Confidence, str]:
    unstamped = [late for stall, late in zip(stalls, lates, strict=True) if stall.before.sent is None]
    if not unstamped:
        return "exact", ""
    return ("likely", _LIKELY) if any(late.network for late in unstamped) else ("none", _UNSURE)
