"""Finds the knobs of a lab through which packets of one direction pass: queues, filters, routes.

Faults apply on routers, never on an end host, so that no sender notices its loss as a local drop. Packets that a router
sends on a link pass a netem at that link's root; packets that it receives first pass an ifb with a netem at its root;
those of a pair of hosts are redirected by their addresses through an ifb of their own before they are sent. A smaller
path MTU is a route of the router with an MTU of its own; the MTUs of all links stay unchanged. Where only some senders
may meet it, the route is in a table that a rule selects by their addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chaoskit.knobs import Change, Filter, Flow, Knob, MatchAll, Route, Rule, U32Key, U32Match
from chaoskit.topology.lab import CLIENT, SERVER, Attachment, Topology
from chaoskit.topology.steering import PRIORITY, SIZE_PRIORITY, Family, OneDirection
from chaoskit.topology.u32_keys import keys

PAIR = "pair-"
FAMILIES: dict[int, Family] = {4: "ip", 6: "ipv6"}
_TOO_BIG_PRIORITIES = {4: SIZE_PRIORITY - 2, 6: SIZE_PRIORITY - 1}
_TOO_BIG_FILTERS = {
    4: Filter(
        "ip", U32Match((U32Key(0x0001_0000, 0x00FF_0000, 8), U32Key(0x0304_0000, 0xFFFF_0000, 20))), redirect_to=None
    ),
    6: Filter(
        "ipv6", U32Match((U32Key(0x0000_3A00, 0x0000_FF00, 4), U32Key(0x0200_0000, 0xFF00_0000, 40))), redirect_to=None
    ),
}
"""ICMP "fragmentation needed" (RFC 792: type 3, code 4) and ICMPv6 "packet too big" (RFC 4443: type 2), as a router
sends them: without options or extension headers. The filters drop them."""
_FIRST_TABLE, _TABLES = 1000, 256  # of routes for some senders alone; one for each pair of links


@dataclass(frozen=True)
class Way:
    """Packets in one direction: all to a host, all from a host, or those from one host to another."""

    to: str | None = None
    from_: str | None = None


EDGE_WAYS: dict[tuple[str, OneDirection], Way] = {
    ("client-router", "down"): Way(to=CLIENT),
    ("client-router", "up"): Way(from_=CLIENT),
    ("router-server", "down"): Way(from_=SERVER),
    ("router-server", "up"): Way(to=SERVER),
}
"""The ways of the edge lab's links. `down` is towards the client."""


def queue(topology: Topology, way: Way) -> Knob:
    """The qdisc that the packets pass."""
    match way:
        case Way(to=str(to), from_=str(from_)):
            here, there = topology.attachment(to), topology.attachment(from_)
            return Knob("qdisc", here.router, f"{PAIR}{here.number}-{there.number}")
        case Way(to=str(to)):
            here = topology.attachment(to)
            return Knob("qdisc", here.router, here.link)
        case _:
            here = topology.attachment(way.from_ or "")
            return Knob("qdisc", here.router, here.ifb)


def drop_oversized(topology: Topology, way: Way, size: int) -> tuple[Change, ...]:
    """Filters that drop packets longer than `size` bytes; 0: all packets."""
    if way.to is None:
        here = topology.attachment(way.from_ or "")
        hook = f"{here.link} ingress"
    else:
        here = topology.attachment(way.to)
        hook = f"{here.link} egress"
    if way.to is None or way.from_ is None:
        return ((Knob("filter", here.router, f"{hook} {SIZE_PRIORITY}"), Filter("all", MatchAll(), None, size)),)
    there = topology.attachment(way.from_)
    return tuple(
        (Knob("filter", here.router, f"{hook} {priority}"), Filter(family, match, None, size))
        for priority, family, match in _from_address(there, SIZE_PRIORITY)
    )


def pair_filters(topology: Topology, here: Attachment) -> Iterator[tuple[str, Change]]:
    """The ifb of each pair whose packets go to this host, and a filter that redirects them through it."""
    for there in topology.attachments:
        ifb = f"{PAIR}{here.number}-{there.number}"
        for priority, family, match in _from_address(there, PRIORITY):
            yield (
                ifb,
                (Knob("filter", here.router, f"{here.link} egress {priority}"), Filter(family, match, redirect_to=ifb)),
            )


def _from_address(there: Attachment, first: int) -> Iterator[tuple[int, Family, U32Match]]:
    """How packets from this host are matched, at priorities of its own. In u32, which every kernel has."""
    for place, (version, family) in enumerate(FAMILIES.items()):
        for each in keys(family, Flow(source=there.destination(version))):
            yield first + 2 * there.number + place, family, U32Match(each)


def limit_path_mtu(topology: Topology, way: Way, versions: Iterable[int], mtu: int) -> tuple[Change, ...]:
    """Routes of the router that limit the path MTU of this way; senders get ICMP signals as of RFC 1191."""
    if way.to is None:
        way = _other_way_round(topology, way)
    changes: list[Change] = []
    for version in versions:
        if way.to is not None and way.from_ is None:
            here = topology.attachment(way.to)
            changes.append((Knob("route", here.router, here.destination(version)), Route(dev=here.link, mtu=mtu)))
        else:
            changes += _for_one_sender(topology, way, version, mtu)
    return tuple(changes)


def _other_way_round(topology: Topology, way: Way) -> Way:
    """All packets from a host, as all to the only other host, where its lab has one."""
    others = [host for host in topology.hosts if host != way.from_]
    return Way(to=others[0]) if len(others) == 1 else way


def _for_one_sender(topology: Topology, way: Way, version: int, mtu: int) -> Iterator[Change]:
    """Routes in a table of their own, and then the rule that selects it."""
    sender = topology.attachment(way.from_ or "")
    receiver = topology.attachment(way.to) if way.to is not None else None
    router = sender.router if receiver is None else receiver.router
    table = _FIRST_TABLE + sender.number + _TABLES * (receiver.number if receiver is not None else 0)
    for prefix, route in _routes_from(topology, router, version):
        if prefix == receiver.destination(version) if receiver is not None else prefix != sender.destination(version):
            yield (
                Knob("route", router, f"{prefix} table {table}"),
                Route(via=route.via, dev=route.dev, mtu=mtu),
            )
    target = f" to {receiver.destination(version)}" if receiver is not None else ""
    yield Knob("rule", router, f"from {sender.destination(version)}{target}"), Rule(table)


def _routes_from(topology: Topology, router: str, version: int) -> Iterator[tuple[str, Route]]:
    """Where a router sends what: to its hosts, and through its trunks."""
    for each in topology.attachments:
        if each.router == router:
            yield each.destination(version), Route(dev=each.link)
    yield from trunk_routes(topology, router, version)


def trunk_routes(topology: Topology, router: str, version: int) -> Iterator[tuple[str, Route]]:
    """A router's routes through its trunks: to the client's network, and to all that are not its own."""
    for trunk in topology.trunks():
        net = trunk.nets[version]
        if trunk.router == router:
            yield "10.0.0.0/8" if version == 4 else "fd00::/8", Route(via=net.host)
        elif trunk.host == router:
            yield topology.attachment(CLIENT).nets[version].prefix, Route(via=net.router)


def drop_too_big(topology: Topology, way: Way, versions: Iterable[int]) -> tuple[Change, ...]:
    """Filters of the router that drop its ICMP signals about oversized packets to the senders of this way."""
    if way.to is None:
        way = _other_way_round(topology, way)
    router = topology.attachment(way.to or way.from_ or "").router
    if way.from_ is not None:
        sender = topology.attachment(way.from_)
        links = [sender.link] if sender.router == router else [_trunk_link(topology, router)]
    else:
        links = [each.link for each in topology.attachments if each.router == router and each.host != way.to]
        links += [_trunk_link(topology, router)] if len(topology.routers) > 1 else []
    return tuple(
        (Knob("filter", router, f"{link} egress {_TOO_BIG_PRIORITIES[version]}"), _TOO_BIG_FILTERS[version])
        for link in links
        for version in versions
    )


def _trunk_link(topology: Topology, router: str) -> str:
    """The name of this router's end of its trunk."""
    trunk = next(trunk for trunk in topology.trunks() if router in (trunk.router, trunk.host))
    return trunk.link if trunk.router == router else f"to-{trunk.router}"


def drops_too_big(knob: Knob) -> bool:
    """Whether the knob is a filter of `drop_too_big`."""
    return knob.name.rpartition(" ")[2] in {str(priority) for priority in _TOO_BIG_PRIORITIES.values()}


def may_send_too_big(topology: Topology, knob: Knob) -> bool:
    """Whether this knob may make a router send ICMP signals about oversized packets."""
    return knob.place in topology.routers and knob.kind in ("route", "mtu")


def ends(topology: Topology, host: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The two ends of a host's link: the namespace and the link's name of each."""
    here = topology.attachment(host)
    return (here.router, here.link), (host, "eth0")


def other_end(topology: Topology, knob: Knob) -> Knob:
    """The same knob at the other end of its link."""
    pair = next(pair for pair in (ends(topology, host) for host in topology.hosts) if (knob.place, knob.name) in pair)
    place, link = next(end for end in pair if end != (knob.place, knob.name))
    return Knob(knob.kind, place, link)


def way_of(topology: Topology, knob: Knob) -> Way | None:
    """Which packets a qdisc, a filter, a route, a rule or an MTU of a lab affects; None for other knobs.

    An MTU affects what that end sends; at a router's end it is what the host gets.
    """
    name, _, rest = knob.name.partition(" ")
    if knob.kind == "rule":
        return Way(_with_address(topology, rest.partition(" to ")[2]), sender_of(topology, knob))
    for here in topology.attachments:
        if knob.kind in ("qdisc", "filter", "mtu") and knob.place == here.router:
            if name == here.link and not rest.startswith("ingress"):
                return _narrowed(topology, Way(to=here.host), knob)
            if name in (here.link, here.ifb):
                return Way(from_=here.host)
            if name.startswith(f"{PAIR}{here.number}-"):
                return Way(here.host, _numbered(topology, int(name.rpartition("-")[2])).host)
        if knob.kind == "mtu" and knob.place == here.host:
            return Way(from_=here.host)
        if knob.kind == "route" and knob.place in topology.routers and name in map(here.destination, (4, 6)):
            return Way(here.host, sender_of(topology, knob))
    return None


def is_between(topology: Topology, knob: Knob, hosts: Iterable[str]) -> bool:
    """Whether only these hosts send or receive what the knob affects; each end that it leaves open is one of them."""
    way = way_of(topology, knob)
    return way is not None and {way.to, way.from_} <= {*hosts, None}


def sender_of(topology: Topology, knob: Knob) -> str | None:
    """The host for whose packets alone this rule is, or this route."""
    if knob.kind == "rule":
        return _with_address(topology, knob.name.removeprefix("from ").partition(" to ")[0])
    table = knob.name.partition(" table ")[2]
    return _numbered(topology, (int(table) - _FIRST_TABLE) % _TABLES).host if table else None


def _narrowed(topology: Topology, way: Way, knob: Knob) -> Way:
    """A filter at a priority that belongs to one sender is for that sender's packets alone."""
    if knob.kind != "filter":
        return way
    offset = int(knob.name.rpartition(" ")[2]) - SIZE_PRIORITY
    return Way(way.to, _numbered(topology, offset // 2).host) if offset > 1 else way


def _with_address(topology: Topology, prefix: str) -> str | None:
    found = (each.host for each in topology.attachments if prefix in map(each.destination, (4, 6)))
    return next(found, None)


def _numbered(topology: Topology, number: int) -> Attachment:
    return next(each for each in topology.attachments if each.number == number)


def one_direction(way: Way) -> OneDirection:
    """`up` for packets away from the client, `down` for packets towards it, or from a host to anybody."""
    if way.to is not None:
        return "down" if way.to == CLIENT else "up"
    return "up" if way.from_ == CLIENT else "down"
