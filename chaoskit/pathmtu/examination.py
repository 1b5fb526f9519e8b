"""One examination, in order: who answers, a long body, the size, the hop, the clamp. Whatever is used up first ends it.

The body goes first because what routers answer to large probes would teach this machine's TCP. Once it is known which
packets pass, one that got stuck without need is sent again: loss may have done that, and does not twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chaoskit.clock import Clock
from chaoskit.host_lookups import FirstHop
from chaoskit.pathmtu.hops import Hunt, locate
from chaoskit.pathmtu.long_body import Body, send_body
from chaoskit.pathmtu.mss_rewrite import find_clamp
from chaoskit.pathmtu.probes import Barred, Clamp, Ends, Hop, How, Narrow, TooBig, Volley
from chaoskit.pathmtu.size_search import Search
from chaoskit.pathmtu.transport import Meter, Spent, Transport, Wire

_SOMEWHERE = 16  # hops, where no answer tells how many


@dataclass(frozen=True)
class Patient:
    """Whom to examine: the name that was typed, the two ends, how this machine sends there, and whether a long body
    may be sent to the port."""

    host: str
    ends: Ends
    first: FirstHop
    may_send_body: bool


@dataclass(frozen=True)
class Findings:
    """All that was seen. Sizes in bytes, times in ns.

    `passes` is the largest size that reached the host (0: none), `ceiling` the smallest that seems not to (None: no
    such); `is_exact`: nothing lies between. `signal` is who says so, `where` how far away he is; `narrow` where
    large packets end when nobody does; `clamp` where the MSS of SYNs is rewritten. `spent`: "packets" or
    "time" when that was used up.
    """

    patient: Patient
    ways: tuple[How, ...]
    rtts: dict[How, int]
    passes: int = 0
    ceiling: int | None = None
    is_exact: bool = False
    signal: TooBig | None = None
    where: Hop | None = None
    narrow: Narrow | None = None
    mss: int | None = None
    clamp: Clamp | None = None
    port: str | None = None
    barred: Barred | None = None
    is_limited: bool = False
    is_one_way: bool = False
    body: Body | None = None
    packets: int = 0
    took: int = 0
    spent: str = ""

    @property
    def is_privileged(self) -> bool:
        """Whether SYNs of our own could be sent."""
        return "tcp" in self.ways


def examine(patient: Patient, wire: Wire, meter: Meter, clock: Clock, tell: Callable[[Volley], None]) -> Findings:
    """Examine. `tell` is given each volley before it is sent. Raises RefusedError when this machine will not send."""
    begun = clock.now()
    line = Transport(wire, clock, meter, tell)
    search = Search(wire.ways, patient.first.link_mtu, patient.ends.bare_syn)
    body: Body | None = None
    narrow: Narrow | None = None
    where: Hop | None = None
    clamp: Clamp | None = None
    try:
        line.converse(search.greet())
        if patient.may_send_body and search.port != "closed":
            body = send_body(patient.ends, patient.host, meter, clock, patient.first.mtu_probing > 0)
            if body.ending == "taken" and body.size:
                search.passes = max(search.passes, body.size)
        line.converse(search.measure())
        if body is not None and _may_be_loss(body, search):
            body = send_body(patient.ends, patient.host, meter, clock, patient.first.mtu_probing > 0)
        if search.signal is not None:
            where = line.converse(locate(search.signal, search.way, search.distance or _SOMEWHERE))
        elif hunt := _hunt(search, body):
            found = line.converse(hunt.steps())
            if isinstance(found, TooBig):
                search.fails[hunt.size], where = found, Hop(None, found.hop)
            else:
                narrow = found
        if search.mss is not None and patient.ends.size_of(search.mss) < patient.first.link_mtu:
            clamp = line.converse(find_clamp(patient.ends, search.distance or _SOMEWHERE))
    except Spent:
        pass  # the meter tells
    return Findings(
        patient,
        wire.ways,
        line.quickest,
        passes=search.passes,
        ceiling=search.ceiling,
        is_exact=search.is_exact,
        signal=search.signal,
        where=where,
        narrow=narrow,
        mss=search.mss if search.mss is not None or body is None else body.mss,
        clamp=clamp,
        port=search.port,
        barred=search.barred,
        is_limited=search.is_limited,
        is_one_way=search.is_one_way,
        body=body,
        packets=meter.sent,
        took=clock.now() - begun,
        spent=meter.cause,
    )


def _may_be_loss(body: Body, search: Search) -> bool:
    """Whether it got stuck where its packets pass, or where a router tells TCP which do: that has to happen twice."""
    return body.ending == "stuck" and (search.signal is not None or (body.size or 0) <= search.passes)


def _hunt(search: Search, body: Body | None) -> Hunt | None:
    """The hunt for the hop, where there is something to hunt for."""
    if search.alive and search.is_exact and search.ceiling is not None:
        return Hunt(search.ceiling, search.way, search.distance or _SOMEWHERE)
    if not search.alive and body is not None and body.ending == "stuck":
        return Hunt(search.top, search.ways[0], _SOMEWHERE)
    return None
