"""Defines the edge lab, client - router - server.

```
 client                      router                      server
 eth0 10.1.0.1  ------------ to-client | to-server ------------ eth0 10.2.0.1
      fd01::1                10.1.0.254  10.2.0.254                  fd02::1
```

Faults apply on the router, never on an end host, so that no sender notices its loss as a local drop. Packets that
the router sends on a link pass a netem at that link's root; packets that it receives first pass an ifb (`ifb-client`,
`ifb-server`) with a netem at the ifb's root. The ifbs are created only where a fault needs them. A smaller path MTU is
a route of the router with an MTU of its own; the MTUs of all links stay unchanged. Neighbours are permanent and MAC
addresses fixed: faults never delay address resolution.
Every segment is a packet of its own (`gso_max_segs` 1), so that shares are shares of packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from chaoskit.knobs import (
    Address,
    Change,
    Clsact,
    Filter,
    Ifb,
    Knob,
    Link,
    MatchAll,
    Namespace,
    Neighbour,
    Route,
    Sysctl,
    U32Key,
    U32Match,
    Veth,
)
from chaoskit.middlebox import TcpFlow
from chaoskit.topology.steering import PRIORITY, SIZE_PRIORITY, Family, OneDirection

Node = Literal["client", "router", "server"]
EndHost = Literal["client", "server"]
Segment = Literal["client-router", "router-server"]
Direction = Literal["down", "up", "both"]

SERVER_V4, SERVER_V6 = "10.2.0.1", "fd02::1"
LINK_MTU = 1500
VLAN_TAG = 4  # bytes that a veth takes beyond its MTU (net/core/skbuff.c, is_skb_forwardable)
BOTH_VERSIONS = (4, 6)
ROUTER: Node = "router"
_HOSTS: dict[OneDirection, tuple[str, str, str]] = {
    "up": ("to-server", "10.2.0.1/32", "fd02::1/128"),
    "down": ("to-client", "10.1.0.1/32", "fd01::1/128"),
}
"""The destination of each direction: the router's link to it, and its addresses."""
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
_ENDS: dict[Segment, tuple[Node, str, int]] = {
    "client-router": ("client", "to-client", 1),
    "router-server": ("server", "to-server", 2),
}


@dataclass(frozen=True)
class RouteSizes:
    """Sizes of an end host's default routes, in bytes; None: as the link has it."""

    mtu: int | None = None
    advmss: int | None = None


_LINK_SIZES = RouteSizes()


@dataclass(frozen=True)
class _Net:
    """The addresses of one IP version on one segment."""

    router: str
    host: str
    length: int
    all: str


_NETS: dict[int, Callable[[int], _Net]] = {
    4: lambda net: _Net(f"10.{net}.0.254", f"10.{net}.0.1", 24, "0.0.0.0/0"),
    6: lambda net: _Net(f"fd0{net}::fe", f"fd0{net}::1", 64, "::/0"),
}


def qdiscs(segment: Segment, direction: Direction) -> tuple[Knob, ...]:
    """The qdisc knobs of this direction of this segment. `down` is towards the client."""
    end, link, _ = _ENDS[segment]
    sends, receives = Knob("qdisc", "router", link), Knob("qdisc", "router", f"ifb-{end}")
    down, up = (sends, receives) if end == "client" else (receives, sends)
    return {"down": (down,), "up": (up,), "both": (down, up)}[direction]


def directions(direction: Direction) -> tuple[OneDirection, ...]:
    """The direction as a tuple; "both" gives two."""
    return ("down", "up") if direction == "both" else (direction,)


def ends(segment: Segment) -> tuple[tuple[Node, str], tuple[Node, str]]:
    """The two ends of a segment: the node and the link name of each."""
    end, link, _ = _ENDS[segment]
    return ("router", link), (end, "eth0")


def other_end(knob: Knob) -> Knob:
    """The same knob at the other end of its segment."""
    pair = next(pair for pair in map(ends, _ENDS) if (knob.place, knob.name) in pair)
    place, link = next(end for end in pair if end != (knob.place, knob.name))
    return Knob(knob.kind, place, link)


def limit_path_mtu(direction: Direction, versions: Iterable[int], mtu: int) -> tuple[Change, ...]:
    """Routes of the router that limit the path MTU of this direction; senders get ICMP signals as of RFC 1191."""
    return tuple(
        (Knob("route", "router", _HOSTS[one_way][1 if version == 4 else 2]), Route(dev=_HOSTS[one_way][0], mtu=mtu))
        for one_way in directions(direction)
        for version in versions
    )


def drop_too_big(direction: Direction, versions: Iterable[int]) -> tuple[Change, ...]:
    """Filters of the router that drop its ICMP signals about oversized packets to the senders of this direction."""
    towards = {"up": _HOSTS["down"][0], "down": _HOSTS["up"][0]}
    return tuple(
        (
            Knob("filter", "router", f"{towards[one_way]} egress {_TOO_BIG_PRIORITIES[version]}"),
            _TOO_BIG_FILTERS[version],
        )
        for one_way in directions(direction)
        for version in versions
    )


def drops_too_big(knob: Knob) -> bool:
    """Whether the knob is a filter of `drop_too_big`."""
    return knob.name.rpartition(" ")[2] in {str(priority) for priority in _TOO_BIG_PRIORITIES.values()}


def may_send_too_big(knob: Knob) -> bool:
    """Whether this knob may make the router send ICMP signals about oversized packets."""
    return knob.place == ROUTER and knob.kind in ("route", "mtu")


def affected_direction(knob: Knob) -> OneDirection:
    """Which direction's packets are too long for a route of `limit_path_mtu`, for an MTU of the router, or for a size
    filter of the lab or of a real interface."""
    if knob.kind == "route":
        return "up" if destination(knob) == "server" else "down"
    link, _, hook = knob.name.partition(" ")
    is_up_link = link == _HOSTS["up"][0] or not knob.place
    return "up" if is_up_link != hook.startswith("ingress") else "down"


def received_direction(knob: Knob) -> OneDirection:
    """Which direction's packets this link of the lab receives."""
    if knob.place == ROUTER:
        return "up" if knob.name == _HOSTS["down"][0] else "down"
    return "down" if knob.place == "client" else "up"


def destination(knob: Knob) -> EndHost:
    """The host that a route of `limit_path_mtu` leads to."""
    return "server" if knob.name in _HOSTS["up"] else "client"


def drop_oversized(segment: Segment, direction: Direction, size: int) -> tuple[Change, ...]:
    """Filters of the router that drop packets longer than `size` bytes on this segment, in this direction."""
    end, link, _ = _ENDS[segment]
    hooks = {"up": "ingress", "down": "egress"} if end == "client" else {"up": "egress", "down": "ingress"}
    return tuple(
        (
            Knob("filter", "router", f"{link} {hooks[one_way]} {SIZE_PRIORITY}"),
            Filter("all", MatchAll(), redirect_to=None, over=size),
        )
        for one_way in directions(direction)
    )


def tcp_flows(direction: OneDirection) -> tuple[TcpFlow, ...]:
    """The TCP packets that the router forwards in this direction."""
    families: tuple[Family, ...] = ("ip", "ipv6")
    return tuple(TcpFlow(_HOSTS[direction][0], "egress", family) for family in families)


def build(touched: frozenset[Knob], versions: tuple[int, ...] = BOTH_VERSIONS) -> tuple[Change, ...]:
    """Every knob of the lab in the order of building, for the IP `versions`.

    `touched` are the knobs that faults will use: their qdiscs and filters need an ifb or a clsact.
    """
    changes: list[Change] = [(Knob("namespace", "", node), Namespace()) for node in ("client", "router", "server")]
    for node in ("client", "router", "server"):
        changes += [
            (Knob("sysctl", node, "net.ipv6.conf.default.accept_dad"), Sysctl("0")),
            (Knob("sysctl", node, "net.ipv6.conf.default.accept_ra"), Sysctl("0")),
            (Knob("sysctl", node, "net.ipv6.conf.default.router_solicitations"), Sysctl("0")),
            (Knob("sysctl", node, "net.ipv6.conf.default.addr_gen_mode"), Sysctl("1")),
            (Knob("link", node, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535)),
        ]
    changes += [
        (Knob("sysctl", "router", "net.ipv4.ip_forward"), Sysctl("1")),
        (Knob("sysctl", "router", "net.ipv6.conf.all.forwarding"), Sysctl("1")),
    ]
    for segment in _ENDS:
        changes += _segment_links(segment, touched, versions)
    return tuple(changes)


def _segment_links(segment: Segment, touched: frozenset[Knob], versions: tuple[int, ...]) -> list[Change]:
    end, link, net = _ENDS[segment]
    mac, peer_mac = f"02:00:00:00:0{net}:fe", f"02:00:00:00:0{net}:01"
    up = Link(up=True, mtu=LINK_MTU, gso_max_segs=1)
    nets = [net_of(net) for version, net_of in _NETS.items() if version in versions]
    changes: list[Change] = [
        (Knob("veth", "router", link), Veth(peer_place=end, peer="eth0", mac=mac, peer_mac=peer_mac)),
        *((Knob("address", "router", f"{link} {each.router}/{each.length}"), Address()) for each in nets),
        *((Knob("address", end, f"eth0 {each.host}/{each.length}"), Address()) for each in nets),
        (Knob("link", "router", link), up),
        (Knob("link", end, "eth0"), up),
        *((Knob("neighbour", "router", f"{link} {each.host}"), Neighbour(peer_mac)) for each in nets),
        *((Knob("neighbour", end, f"eth0 {each.router}"), Neighbour(mac)) for each in nets),
        *_routes(end, net, versions),
    ]
    ifb = f"ifb-{end}"
    has_ifb = Knob("qdisc", "router", ifb) in touched
    if has_ifb:
        changes += [(Knob("ifb", "router", ifb), Ifb()), (Knob("link", "router", ifb), up)]
    if has_ifb or any(knob.kind == "filter" and knob.name.startswith(f"{link} ") for knob in touched):
        changes.append((Knob("clsact", "router", link), Clsact()))
    if has_ifb:
        changes += [
            (Knob("filter", "router", f"{link} ingress {PRIORITY}"), Filter("all", MatchAll(), redirect_to=ifb)),
        ]
    return changes


def default_routes(host: EndHost, sizes: RouteSizes, versions: tuple[int, ...] = BOTH_VERSIONS) -> tuple[Change, ...]:
    """The default routes of an end host with these sizes; to be set after `build`."""
    (net,) = (net for end, _, net in _ENDS.values() if end == host)
    return _routes(host, net, versions, sizes)


def _routes(end: Node, net: int, versions: tuple[int, ...], sizes: RouteSizes = _LINK_SIZES) -> tuple[Change, ...]:
    return tuple(
        (Knob("route", end, nets.all), Route(via=nets.router, mtu=sizes.mtu or 0, advmss=sizes.advmss or 0))
        for version, net_of in _NETS.items()
        if version in versions and (nets := net_of(net))
    )


def needs(touched: frozenset[Knob]) -> frozenset[str]:
    """The kernel features that the lab needs."""
    uses_ifb = any(knob.name.startswith("ifb-") for knob in touched)
    return frozenset({"namespaces", "veth"} | ({"ifb", "clsact", "matchall"} if uses_ifb else set()))
