"""Where the MSS of a SYN is rewritten: SYNs that end at the hops between here and the host, and what these quote. Pure.

A router that quotes a SYN with the MSS that it was sent with lies before whoever rewrites it; one that quotes another
lies behind him, or is it itself: Linux counts a packet's hops before its forward rules are asked. Many quote too
little to tell (RFC 792 asks for eight bytes of TCP, RFC 1812 for more). A lost answer makes the two hops lie further
apart and never wrong: each is asked twice. SYN-ACKs leave no such traces.
"""

from __future__ import annotations

from dataclasses import replace

from chaoskit.pathmtu.probes import SECOND, Clamp, Endpoints, Expired, Hop, NoReply, Pause, Probe, Procedure, Reply

_RATE_LIMIT_PAUSE = SECOND


def find_clamp(endpoints: Endpoints, distance: int) -> Procedure[Clamp | None]:
    """Halve the way to the host, which is `distance` hops away. None when no router tells."""
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
