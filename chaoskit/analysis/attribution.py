"""Whose fault was that stall? A late gap split between server, network and client.

With the reference server's stamps a gap's lateness is a sum: sent later than due (server), longer on its way
than the token before (network), read later than it arrived (client). Only differences of one clock are used.
The gap in which a stream died is the network's when the server went on sending, else nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple

from chaoskit.analysis.quantiles import MS
from chaoskit.analysis.result import Blame
from chaoskit.analysis.streams import STALL, Gap


class Late(NamedTuple):
    """Shares of a stall's time, ns."""

    server: float = 0.0
    network: float = 0.0
    client: float = 0.0
    unknown: float = 0.0


def blame(gaps: Iterable[Gap], went_on: Set[int]) -> Blame:
    """The stalls among these gaps. `went_on` are the streams whose server sent more than arrived."""
    lates = [_late(gap, gap.stream in went_on) for gap in gaps if gap.is_stall]
    return Blame(
        stalls=len(lates),
        server_ms=sum(late.server for late in lates) / MS,
        network_ms=sum(late.network for late in lates) / MS,
        client_ms=sum(late.client for late in lates) / MS,
        unknown_ms=sum(late.unknown for late in lates) / MS,
    )


def _late(gap: Gap, went_on: bool) -> Late:
    time = float(gap.excess - STALL)
    before, after = gap.before, gap.after
    if after is None:
        return Late(network=time) if went_on else Late(unknown=time)
    if after.due is None or after.sent is None or before.due is None or before.sent is None:
        return Late(unknown=time)
    server = max(0, (after.sent - after.due) - (before.sent - before.due))
    network = max(0, (after.at - after.sent) - (before.at - before.sent))
    client = max(0, (after.user - after.at) - (before.user - before.at))
    total = server + network + client
    if not total:
        return Late(unknown=time)
    return Late(time * server / total, time * network / total, time * client / total)
