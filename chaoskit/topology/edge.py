"""client - router - server: the smallest network in which a sender sees loss as a network makes it.

```
 client                      router                      server
 eth0 10.1.0.1  ------------ to-client | to-server ------------ eth0 10.2.0.1
      fd01::1                10.1.0.254  10.2.0.254                  fd02::1
```

Faults sit on the router, never on an end host, so that no sender is told about its own loss. What the
router sends on a link is shaped by a netem at that link's root; what it receives first goes through an
ifb (`ifb-client`, `ifb-server`) with the netem at the ifb's root. The ifbs are built only where a fault
needs them. A narrow place is a route of the router's with an MTU of its own, while all links stay wide. Neighbours
are permanent and MAC addresses fixed: faults never delay address resolution.
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
from chaoskit.topology.steering import CUT, PRIORITY, OneDirection

Node = Literal["client", "router", "server"]
End = Literal["client", "server"]
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
"""Whom a direction's packets are for: the router's link to them, and their addresses."""
_MUTES = {4: CUT - 2, 6: CUT - 1}
_SIGNALS = {
    4: Filter(
        "ip", U32Match((U32Key(0x0001_0000, 0x00FF_0000, 8), U32Key(0x0304_0000, 0xFFFF_0000, 20))), redirect_to=None
    ),
    6: Filter(
        "ipv6", U32Match((U32Key(0x0000_3A00, 0x0000_FF00, 4), U32Key(0x0200_0000, 0xFF00_0000, 40))), redirect_to=None
    ),
}
"""ICMP "fragmentation needed" (RFC 792: type 3, code 4) and ICMPv6 "packet too big" (RFC 4443: type 2), as a router
makes them: without options or extension headers. Lost."""
_ENDS: dict[Segment, tuple[Node, str, int]] = {
    "client-router": ("client", "to-client", 1),
    "router-server": ("server", "to-server", 2),
}


@dataclass(frozen=True)
class Sizes:
    """Of an end host's default routes, in bytes; None: as the link has it."""

    mtu: int | None = None
    advmss: int | None = None


_AS_IT_IS = Sizes()


@dataclass(frozen=True)
class _Net:
    """One IP version on one cable."""

    router: str
    host: str
    length: int
    all: str


_NETS: dict[int, Callable[[int], _Net]] = {
    4: lambda net: _Net(f"10.{net}.0.254", f"10.{net}.0.1", 24, "0.0.0.0/0"),
    6: lambda net: _Net(f"fd0{net}::fe", f"fd0{net}::1", 64, "::/0"),
}


def qdiscs(segment: Segment, direction: Direction) -> tuple[Knob, ...]:
    """Where a netem goes for this direction of this link. `down` is towards the client."""
    end, link, _ = _ENDS[segment]
    sends, receives = Knob("qdisc", "router", link), Knob("qdisc", "router", f"ifb-{end}")
    down, up = (sends, receives) if end == "client" else (receives, sends)
    return {"down": (down,), "up": (up,), "both": (down, up)}[direction]


def ways(direction: Direction) -> tuple[OneDirection, ...]:
    """The one or the two."""
    return ("down", "up") if direction == "both" else (direction,)


def ends(segment: Segment) -> tuple[tuple[Node, str], tuple[Node, str]]:
    """The two links of a cable: whose, and its name."""
    end, link, _ = _ENDS[segment]
    return ("router", link), (end, "eth0")


def opposite(knob: Knob) -> Knob:
    """The same at the other end of its link."""
    both = next(both for both in map(ends, _ENDS) if (knob.place, knob.name) in both)
    place, link = next(end for end in both if end != (knob.place, knob.name))
    return Knob(knob.kind, place, link)


def narrow(direction: Direction, versions: Iterable[int], mtu: int) -> tuple[Change, ...]:
    """The router sends nothing longer to whom this direction's packets are for, and says so to whoever sends it."""
    return tuple(
        (Knob("route", "router", _HOSTS[way][1 if version == 4 else 2]), Route(dev=_HOSTS[way][0], mtu=mtu))
        for way in ways(direction)
        for version in versions
    )


def mute(direction: Direction, versions: Iterable[int]) -> tuple[Change, ...]:
    """The router's signals about packets that are too long never reach who sends in this direction."""
    towards = {"up": _HOSTS["down"][0], "down": _HOSTS["up"][0]}
    return tuple(
        (Knob("filter", "router", f"{towards[way]} egress {_MUTES[version]}"), _SIGNALS[version])
        for way in ways(direction)
        for version in versions
    )


def is_mute(knob: Knob) -> bool:
    """Whether it is a filter of `mute`."""
    return knob.name.rpartition(" ")[2] in {str(priority) for priority in _MUTES.values()}


def makes_narrow(knob: Knob) -> bool:
    """Whether the router may have to say of packets that they are too long for its way on."""
    return knob.place == ROUTER and knob.kind in ("route", "mtu")


def hits(knob: Knob) -> OneDirection:
    """Which direction's packets are too long for a route of `narrow`, an MTU of the router's, or a filter of `cut`,
    this one's or of a real interface."""
    if knob.kind == "route":
        return "up" if is_for(knob) == "server" else "down"
    link, _, hook = knob.name.partition(" ")
    is_upwards = link == _HOSTS["up"][0] or not knob.place
    return "up" if is_upwards != hook.startswith("ingress") else "down"


def comes(knob: Knob) -> OneDirection:
    """Which direction's packets a link of the lab receives."""
    if knob.place == ROUTER:
        return "up" if knob.name == _HOSTS["down"][0] else "down"
    return "down" if knob.place == "client" else "up"


def is_for(knob: Knob) -> End:
    """Whom a route of `narrow` leads to."""
    return "server" if knob.name in _HOSTS["up"] else "client"


def cut(segment: Segment, direction: Direction, size: int) -> tuple[Change, ...]:
    """The router loses what is longer than this on a link, in this direction."""
    end, link, _ = _ENDS[segment]
    hooks = {"up": "ingress", "down": "egress"} if end == "client" else {"up": "egress", "down": "ingress"}
    return tuple(
        (Knob("filter", "router", f"{link} {hooks[way]} {CUT}"), Filter("all", MatchAll(), redirect_to=None, over=size))
        for way in ways(direction)
    )


def build(touched: frozenset[Knob], versions: tuple[int, ...] = BOTH_VERSIONS) -> tuple[Change, ...]:
    """Every knob of the lab in the order of building, for the IP `versions`.

    `touched` are the knobs that faults will use: their qdiscs and filters need something to hang on.
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
        changes += _cable(segment, touched, versions)
    return tuple(changes)


def _cable(segment: Segment, touched: frozenset[Knob], versions: tuple[int, ...]) -> list[Change]:
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
        *_ways_out(end, net, versions),
    ]
    ifb = f"ifb-{end}"
    is_received = Knob("qdisc", "router", ifb) in touched
    if is_received:
        changes += [(Knob("ifb", "router", ifb), Ifb()), (Knob("link", "router", ifb), up)]
    if is_received or any(knob.kind == "filter" and knob.name.startswith(f"{link} ") for knob in touched):
        changes.append((Knob("clsact", "router", link), Clsact()))
    if is_received:
        changes += [
            (Knob("filter", "router", f"{link} ingress {PRIORITY}"), Filter("all", MatchAll(), redirect_to=ifb)),
        ]
    return changes


def sized(host: End, sizes: Sizes, versions: tuple[int, ...] = BOTH_VERSIONS) -> tuple[Change, ...]:
    """The default routes of an end host with these sizes; to be set after `build`."""
    (net,) = (net for end, _, net in _ENDS.values() if end == host)
    return _ways_out(host, net, versions, sizes)


def _ways_out(end: Node, net: int, versions: tuple[int, ...], sizes: Sizes = _AS_IT_IS) -> tuple[Change, ...]:
    return tuple(
        (Knob("route", end, nets.all), Route(via=nets.router, mtu=sizes.mtu or 0, advmss=sizes.advmss or 0))
        for version, net_of in _NETS.items()
        if version in versions and (nets := net_of(net))
    )


def needs(touched: frozenset[Knob]) -> frozenset[str]:
    """The features that this lab asks of a kernel."""
    uses_ifb = any(knob.name.startswith("ifb-") for knob in touched)
    return frozenset({"namespaces", "veth"} | ({"ifb", "clsact", "matchall"} if uses_ifb else set()))
