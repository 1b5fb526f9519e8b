"""Tells the round trip from TCP handshakes, and never takes a lost packet for a delay.

Where its SYN or the answer was lost, a client sends the SYN again after 1 s (RFC 6298, 2.1), and the round trip of that
handshake, which TCP computes from the timestamp that the answer echoes, is the path's or a second or more longer: never
shorter. So only a clean handshake, whose SYN was sent once, tells the round trip, except where nearly none can be:

| when                                                          | what tells the round trip                         |
|---------------------------------------------------------------|---------------------------------------------------|
| an answer is expected before the SYN is sent again            | the clean handshakes                              |
| it is expected later, or there are fewer clean handshakes     | the shortest ones: as large a share of all as the |
| than the loss leaves (a chance below 1 in 1000)               | loss leaves clean                                 |
| anything else                                                 | nothing: not measured                             |
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.records.model import TcpInfo

FEWEST = 5  # handshakes that tell a round trip
_SYN_TIMEOUT = 1_000_000_000  # ns
_US = 1_000
_UNLIKELY = 0.001


class Handshake(NamedTuple):
    """The round trip in ns, and whether its SYN was sent only once."""

    rtt: int
    is_clean: bool


class RoundTripSample(NamedTuple):
    """The round trips to judge, in ns, or why there are none."""

    rtts: Sequence[int]
    missing: str = ""


def handshakes(infos: Iterable[TcpInfo], timeline: Timeline) -> dict[str, list[Handshake]]:
    """The handshakes by phase; only those that lie wholly within it.

    A round trip of 0 is below 1 us, or, without TCP timestamps, that of a SYN that was sent again: unknown.
    """
    found: dict[str, list[Handshake]] = defaultdict(list)
    for info in infos:
        if info.when != "connected" or "rtt" not in info.fields or not timeline.spans:
            continue
        each = Handshake(info.fields["rtt"] * _US, not info.fields.get("total_retrans", 0))
        span = timeline.span_at(info.at - each.rtt)
        if (each.rtt or each.is_clean) and info.at - each.rtt >= span.ready and info.at <= span.end:
            found[span.name].append(each)
    return found


def round_trips(found: Sequence[Handshake], latest: float, clean_share: float, memory: float) -> RoundTripSample:
    """What tells the round trip of a phase.

    `latest`: when an answer is expected at the latest, in ns. `clean_share`: the share of handshakes whose two packets
    the loss leaves; `memory` widens the interval of its count (see `faults.loss_models`).
    """
    clean = [each.rtt for each in found if each.is_clean]
    has_enough = len(clean) >= FEWEST
    if latest >= _SYN_TIMEOUT or not (has_enough or _may_be_chance(len(clean), len(found), clean_share, memory)):
        shortest = sorted(each.rtt for each in found)[: math.ceil(len(found) * clean_share)]
        if len(shortest) >= FEWEST:
            return RoundTripSample(shortest)
    elif has_enough:
        return RoundTripSample(clean)
    resent = len(found) - len(clean)
    others = f", and {resent} whose SYN was sent again" if resent else ""
    return RoundTripSample((), f"too few handshakes: {len(clean)}{others}")


def _may_be_chance(clean: int, count: int, share: float, memory: float) -> bool:
    """Whether so few clean handshakes of so many are no proof that something other than the loss is at work."""
    independent = int(count * (1 - memory) / (1 + memory))
    few = clean * independent // max(1, count)
    odds = (math.comb(independent, k) * share**k * (1 - share) ** (independent - k) for k in range(few + 1))
    return sum(odds) >= _UNLIKELY
