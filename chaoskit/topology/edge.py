"""client - router - server: the smallest network in which a sender sees loss as a network makes it.

```
 client                      router                      server
 eth0 10.1.0.1  ------------ to-client | to-server ------------ eth0 10.2.0.1
      fd01::1                10.1.0.254  10.2.0.254                  fd02::1
```

Faults sit on the router, never on an end host, so that no sender is told about its own loss. What the
router sends on a link is shaped by a netem at that link's root; what it receives first goes through an
ifb (`ifb-client`, `ifb-server`) with the netem at the ifb's root. The ifbs are built only where a fault
needs them. Neighbours are permanent and MAC addresses fixed: faults never delay address resolution.
Every segment is a packet of its own (`gso_max_segs` 1), so that shares are shares of packets.
"""

from __future__ import annotations

from typing import Literal

from chaoskit.knobs import (
    Address,
    Change,
    Ifb,
    Knob,
    Link,
    Namespace,
    Neighbour,
    Redirect,
    Route,
    Sysctl,
    Veth,
)

Node = Literal["client", "router", "server"]
Segment = Literal["client-router", "router-server"]
Direction = Literal["down", "up", "both"]

SERVER_V4, SERVER_V6 = "10.2.0.1", "fd02::1"
_MTU = 1500
_ENDS: dict[Segment, tuple[Node, str, int]] = {
    "client-router": ("client", "to-client", 1),
    "router-server": ("server", "to-server", 2),
}


def qdiscs(segment: Segment, direction: Direction) -> tuple[Knob, ...]:
    """Where a netem goes for this direction of this link. `down` is towards the client."""
    end, link, _ = _ENDS[segment]
    sends, receives = Knob("qdisc", "router", link), Knob("qdisc", "router", f"ifb-{end}")
    down, up = (sends, receives) if end == "client" else (receives, sends)
    return {"down": (down,), "up": (up,), "both": (down, up)}[direction]


def build(shaped: frozenset[Knob]) -> tuple[Change, ...]:
    """Every knob of the lab in the order of building; `shaped` are the qdiscs that faults will use."""
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
        changes += _cable(segment, shaped)
    return tuple(changes)


def _cable(segment: Segment, shaped: frozenset[Knob]) -> list[Change]:
    end, link, net = _ENDS[segment]
    mac, peer_mac = f"02:00:00:00:0{net}:fe", f"02:00:00:00:0{net}:01"
    up = Link(up=True, mtu=_MTU, gso_max_segs=1)
    changes: list[Change] = [
        (Knob("veth", "router", link), Veth(peer_place=end, peer="eth0", mac=mac, peer_mac=peer_mac)),
        (Knob("address", "router", f"{link} 10.{net}.0.254/24"), Address()),
        (Knob("address", "router", f"{link} fd0{net}::fe/64"), Address()),
        (Knob("address", end, f"eth0 10.{net}.0.1/24"), Address()),
        (Knob("address", end, f"eth0 fd0{net}::1/64"), Address()),
        (Knob("link", "router", link), up),
        (Knob("link", end, "eth0"), up),
        (Knob("neighbour", "router", f"{link} 10.{net}.0.1"), Neighbour(peer_mac)),
        (Knob("neighbour", "router", f"{link} fd0{net}::1"), Neighbour(peer_mac)),
        (Knob("neighbour", end, f"eth0 10.{net}.0.254"), Neighbour(mac)),
        (Knob("neighbour", end, f"eth0 fd0{net}::fe"), Neighbour(mac)),
        (Knob("route", end, "0.0.0.0/0"), Route(via=f"10.{net}.0.254")),
        (Knob("route", end, "::/0"), Route(via=f"fd0{net}::fe")),
    ]
    ifb = f"ifb-{end}"
    if Knob("qdisc", "router", ifb) in shaped:
        changes += [
            (Knob("ifb", "router", ifb), Ifb()),
            (Knob("link", "router", ifb), up),
            (Knob("redirect", "router", link), Redirect(to=ifb)),
        ]
    return changes


def needs(shaped: frozenset[Knob]) -> frozenset[str]:
    """The features that this lab asks of a kernel."""
    uses_ifb = any(knob.name.startswith("ifb-") for knob in shaped)
    return frozenset({"namespaces", "veth"} | ({"ifb", "redirect"} if uses_ifb else set()))
