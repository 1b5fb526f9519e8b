"""A namespace with one way out, and the fault on it.

```
 the namespace                                   this machine
 out 100.64.0.2  -- up: netem at out's root -->  chaos-out 100.64.0.1, masqueraded (as root), or pasta
                 <-- down: netem of chaos-down,  (without rights)
                     an ifb behind out's ingress
```

The namespace is ours, so its link needs no aim: all of it is meant, IPv4 and IPv6. Every segment is a packet of its
own (`gso_max_segs` 1), so that shares are shares of packets. Neighbours are permanent: faults never delay address
resolution.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from chaoskit.errors import RefusedError
from chaoskit.knobs import (
    Address,
    Change,
    Clsact,
    Everything,
    Filter,
    Ifb,
    Knob,
    Link,
    Masquerade,
    Namespace,
    Neighbour,
    Netem,
    Route,
    Sysctl,
    Veth,
)
from chaoskit.topology.steering import IFBS, PRIORITY, WAYS, OneDirection

PLACE = "out"
LINK, HOST_LINK = "out", "chaos-out"
MAC, HOST_MAC = "02:00:00:00:ca:02", "02:00:00:00:ca:01"
MTU = 1500
RANGES = tuple(map(IPv4Network, ("100.64.0.0/10", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_SLICE = 30  # two hosts


def free_network(taken: Iterable[str]) -> IPv4Network:
    """The first network of two hosts that overlaps none of these IPv4 prefixes (default routes aside), from the range
    for carriers' own use (RFC 6598), then from the private ones (RFC 1918). Raises RefusedError."""
    used = [network for each in taken if (network := IPv4Network(each, strict=False)).prefixlen]
    for scope in RANGES:
        for found in _slices(scope, used):
            return found
    raise RefusedError("every private network is routed to somewhere here; to see it: ip route")


def _slices(scope: IPv4Network, used: list[IPv4Network]) -> Iterator[IPv4Network]:
    """The free ones of a range. What is used is stepped over, whole."""
    at = int(scope.network_address)
    while at <= int(scope.broadcast_address):
        candidate = IPv4Network((at, _SLICE))
        over = [network for network in used if network.overlaps(candidate)]
        if not over:
            yield candidate
        at = max([int(network.broadcast_address) for network in over] + [int(candidate.broadcast_address)]) + 1


def ends(network: IPv4Network) -> tuple[str, str]:
    """The addresses of this machine's end and of the namespace's."""
    host, inside = network.hosts()
    return str(host), str(inside)


def cable(network: IPv4Network, opened: Iterable[str] = ()) -> tuple[Change, ...]:
    """The namespace, its cable to this machine, and the way on from there. In the order of setting.

    All of it goes with the namespace and with the process that set it. What does not is `passage`, on those links that
    are `opened` for the answers and for nobody else.
    """
    host, inside = ends(network)
    up = Link(up=True, mtu=MTU, gso_max_segs=1)
    return (
        (Knob("namespace", "", PLACE), Namespace()),
        (Knob("sysctl", PLACE, "net.ipv6.conf.all.disable_ipv6"), Sysctl("1")),
        (Knob("link", PLACE, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535)),
        (Knob("veth", "", HOST_LINK), Veth(peer_place=PLACE, peer=LINK, mac=HOST_MAC, peer_mac=MAC)),
        (Knob("sysctl", "", f"net.ipv6.conf.{HOST_LINK}.disable_ipv6"), Sysctl("1")),
        (Knob("address", "", f"{HOST_LINK} {host}/{_SLICE}"), Address()),
        (Knob("address", PLACE, f"{LINK} {inside}/{_SLICE}"), Address()),
        (Knob("link", "", HOST_LINK), up),
        (Knob("link", PLACE, LINK), up),
        (Knob("neighbour", "", f"{HOST_LINK} {inside}"), Neighbour(MAC)),
        (Knob("neighbour", PLACE, f"{LINK} {host}"), Neighbour(HOST_MAC)),
        (Knob("route", PLACE, "0.0.0.0/0"), Route(via=host)),
        (Knob("masquerade", "", " ".join((inside, HOST_LINK, *opened))), Masquerade()),
        passage(HOST_LINK),
    )


def passage(link: str) -> tuple[Knob, Sysctl]:
    """What comes in by this link may pass through: answers, on the links that traffic leaves this machine by.

    One link at a time, for the switch for all of them (ip_forward) also turns other things on and off.
    """
    return Knob("sysctl", "", f"net.ipv4.conf.{link}.forwarding"), Sysctl("1")


def tap(place: str, gateways: Iterable[str]) -> tuple[Change, ...]:
    """The same for a link that pasta has brought: its sizes, and the gateways, which are all pasta itself."""
    return (
        (Knob("link", place, LINK), Link(up=True, mtu=MTU, gso_max_segs=1)),
        *((Knob("neighbour", place, f"{LINK} {gateway}"), Neighbour(HOST_MAC)) for gateway in gateways),
    )


def fault(place: str, netems: dict[OneDirection, Netem]) -> tuple[Change, ...]:
    """The netems on the namespace's link, in the order of setting."""
    changes: list[Change] = []
    if "up" in netems:
        changes.append((Knob("qdisc", place, LINK), netems["up"]))
    if "down" in netems:
        ifb = IFBS["down"]
        changes += [
            (Knob("ifb", place, ifb), Ifb()),
            (Knob("qdisc", place, ifb), netems["down"]),
            (Knob("link", place, ifb), Link(up=True, mtu=MTU, gso_max_segs=1)),
            (Knob("clsact", place, LINK), Clsact()),
            (Knob("filter", place, f"{LINK} {WAYS['down']} {PRIORITY}"), Filter("all", Everything(), to=ifb)),
        ]
    return tuple(changes)


def needs(netems: dict[OneDirection, Netem]) -> frozenset[str]:
    """The features that the fault asks of a kernel."""
    down = {"ifb", "clsact", "matchall"} if "down" in netems else set()
    return frozenset({"namespaces", "netem"} | down)
