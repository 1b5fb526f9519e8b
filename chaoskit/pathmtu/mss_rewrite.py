"""Finds the hop that rewrites the MSS of SYNs, from the SYNs that ICMP errors quote. Pure.

SYNs expire at the hops between this machine and the host. A router that quotes the original MSS is before the hop that
rewrites it; one that quotes another MSS is behind it, or is that hop (Linux decrements the TTL before its forward
rules). Many quote too little (RFC 792 requires eight bytes of TCP, RFC 1812 more). Each hop is probed twice; a lost
answer widens the interval, and never makes it wrong. A rewrite of SYN-ACKs cannot be located.
"""

from __future__ import annotations

from dataclasses import replace

from chaoskit.pathmtu.probes import SECOND, Clamp, Endpoints, Expired, Hop, NoReply, Pause, Probe, Procedure, Reply

_RATE_LIMIT_PAUSE = SECOND


def find_clamp(endpoints: Endpoints, distance: int) -> Procedure[Clamp | None]:
    """Bisect the path to the host, which is `distance` hops away. None if no router quotes enough."""
    found = Clamp(Hop(0, None), None, None)
    left = list(range(1, distance))
    while left:
        at = left.pop(len(left) // 2)
        probe = Probe("tcp", endpoints.bare_syn, at)
        (answer,) = yield (probe,)
        if isinstance(answer, NoReply):
            yield Pause(_RATE_LIMIT_PAUSE)
            (answer,) = yield (probe,)
        match answer:
            case Expired(hop=address, mss=mss) if mss == endpoints.offered_mss:
                found = replace(found, before=Hop(at, address))
                left = [hop for hop in left if hop > at]
            case Expired(hop=address, mss=int(mss)):
                found = replace(found, after=Hop(at, address), mss=mss)
                left = [hop for hop in left if hop < at]
            case Reply():
                left = [hop for hop in left if hop < at]
    return None if found.before.index == 0 and found.after is None else found
