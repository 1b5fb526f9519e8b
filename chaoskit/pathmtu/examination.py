"""Runs one examination: who replies, a long body, the size, the hop, the MSS clamp.

It ends when the packets or the time are used up. The body comes before the size search, because the routers' answers
to large probes would update this machine's path MTU cache, which its TCP uses. A body that got stuck although packets
of its size pass is sent again: random loss may have caused it once, but hardly twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chaoskit.clock import Clock
from chaoskit.host_lookups import FirstHop
from chaoskit.pathmtu.hops import HopSearch, locate_router
from chaoskit.pathmtu.long_body import Body, send_body
from chaoskit.pathmtu.mss_rewrite import find_clamp
from chaoskit.pathmtu.probes import Burst, Clamp, DropPoint, Endpoints, Hop, Method, TooBig, Unreachable
from chaoskit.pathmtu.size_search import SizeSearch
from chaoskit.pathmtu.transport import Budget, BudgetExhausted, ProbeSocket, Transport

_UNKNOWN_DISTANCE = 16  # hops, if no reply gives the distance


@dataclass(frozen=True)
class Setup:
    """What to examine: the host as typed, both endpoints, the first hop, and whether a long body may be sent
    to the port."""

    host: str
    endpoints: Endpoints
    first: FirstHop
    may_send_body: bool


@dataclass(frozen=True)
class Findings:
    """All results. Sizes in bytes, times in ns.

    `passes` is the largest size that reached the host (0: none), `ceiling` the smallest that seems not to (None: no
    such); `is_exact`: nothing lies between. `signal` is the router that reports the limit, `where` its distance;
    `drop_point` is where large packets are lost without a report; `clamp` is where the MSS of SYNs is rewritten.
    `exhausted`: "packets" or "time" if that was used up.
    """

    setup: Setup
    methods: tuple[Method, ...]
    rtts: dict[Method, int]
    passes: int = 0
    ceiling: int | None = None
    is_exact: bool = False
    signal: TooBig | None = None
    where: Hop | None = None
    drop_point: DropPoint | None = None
    mss: int | None = None
    clamp: Clamp | None = None
    port: str | None = None
    unreachable: Unreachable | None = None
    is_limited: bool = False
    is_one_way: bool = False
    body: Body | None = None
    packets: int = 0
    elapsed: int = 0
    exhausted: str = ""

    @property
    def is_privileged(self) -> bool:
        """Whether raw SYNs could be sent."""
        return "tcp" in self.methods


def examine(
    setup: Setup, sock: ProbeSocket, budget: Budget, clock: Clock, on_send: Callable[[Burst], None]
) -> Findings:
    """Run the examination. `on_send` gets each burst before it is sent. Raises RefusedError if sending fails."""
    begun = clock.now()
    transport = Transport(sock, clock, budget, on_send)
    search = SizeSearch(sock.methods, setup.first.link_mtu, setup.endpoints.bare_syn)
    body: Body | None = None
    drop_point: DropPoint | None = None
    where: Hop | None = None
    clamp: Clamp | None = None
    try:
        transport.run(search.find_responders())
        if setup.may_send_body and search.port != "closed":
            body = send_body(setup.endpoints, setup.host, budget, clock, setup.first.mtu_probing > 0)
            if body.ending == "taken" and body.size:
                search.passes = max(search.passes, body.size)
        transport.run(search.measure())
        if body is not None and _may_be_loss(body, search):
            body = send_body(setup.endpoints, setup.host, budget, clock, setup.first.mtu_probing > 0)
        if search.signal is not None:
            where = transport.run(locate_router(search.signal, search.method, search.distance or _UNKNOWN_DISTANCE))
        elif hop_search := _hop_search(search, body):
            found = transport.run(hop_search.search())
            if isinstance(found, TooBig):
                search.fails[hop_search.size], where = found, Hop(None, found.hop)
            else:
                drop_point = found
        if search.mss is not None and setup.endpoints.size_of(search.mss) < setup.first.link_mtu:
            clamp = transport.run(find_clamp(setup.endpoints, search.distance or _UNKNOWN_DISTANCE))
    except BudgetExhausted:
        pass  # `budget.cause` has it
    return Findings(
        setup,
        sock.methods,
        transport.best_rtts,
        passes=search.passes,
        ceiling=search.ceiling,
        is_exact=search.is_exact,
        signal=search.signal,
        where=where,
        drop_point=drop_point,
        mss=search.mss if search.mss is not None or body is None else body.mss,
        clamp=clamp,
        port=search.port,
        unreachable=search.unreachable,
        is_limited=search.is_limited,
        is_one_way=search.is_one_way,
        body=body,
        packets=budget.sent,
        elapsed=clock.now() - begun,
        exhausted=budget.cause,
    )


def _may_be_loss(body: Body, search: SizeSearch) -> bool:
    """Whether it got stuck although its packets pass, or although a router signals the size: loss can cause that."""
    return body.ending == "stuck" and (search.signal is not None or (body.size or 0) <= search.passes)


def _hop_search(search: SizeSearch, body: Body | None) -> HopSearch | None:
    """The search for the drop point, if packets are dropped without a signal."""
    if search.responding and search.is_exact and search.ceiling is not None:
        return HopSearch(search.ceiling, search.method, search.distance or _UNKNOWN_DISTANCE)
    if not search.responding and body is not None and body.ending == "stuck":
        return HopSearch(search.link_mtu, search.methods[0], _UNKNOWN_DISTANCE)
    return None
