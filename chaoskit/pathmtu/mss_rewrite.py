"""Where the MSS of a SYN is rewritten: SYNs that end at the hops between here and the host, and what these quote. Pure.

A router that quotes a SYN with the MSS that it was sent with lies before whoever rewrites it; one that quotes another
lies behind him, or is it itself: Linux counts a packet's hops before its forward rules are asked. Many quote too
little to tell (RFC 792 asks for eight bytes of TCP, RFC 1812 for more). A lost answer makes the two hops lie further
apart and never wrong: each is asked twice. SYN-ACKs leave no such traces.
"""

from __future__ import annotations

from dataclasses import replace

from chaoskit.pathmtu.probes import SECOND, Clamp, Ends, Expired, Hop, Pause, Probe, Reply, Silence, Talk

_BREATH = SECOND


def find_clamp(ends: Ends, far: int) -> Talk[Clamp | None]:
    """Halve the way to the host, which is `far` hops away. None when no router tells."""
    found = Clamp(Hop(0, None), None, None)
    left = list(range(1, far))
    while left:
        at = left.pop(len(left) // 2)
        probe = Probe("tcp", ends.bare_syn, at)
        (answer,) = yield (probe,)
        if isinstance(answer, Silence):
            yield Pause(_BREATH)
            (answer,) = yield (probe,)
        match answer:
            case Expired(hop=address, mss=mss) if mss == ends.offered_mss:
                found = replace(found, before=Hop(at, address))
                left = [hop for hop in left if hop > at]
            case Expired(hop=address, mss=int(mss)):
                found = replace(found, after=Hop(at, address), mss=mss)
                left = [hop for hop in left if hop < at]
            case Reply():
                left = [hop for hop in left if hop < at]
    return None if found.before.index == 0 and found.after is None else found
