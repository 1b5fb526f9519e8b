"""Builds a network namespace with a single egress link, and applies netem to that link.

```
 the namespace                                   this machine
 out 100.64.0.2  -- up: netem at out's root -->  chaos-out 100.64.0.1, masqueraded (as root), or pasta
                 <-- down: netem of chaos-down,  (without rights)
                     an ifb behind out's ingress
```

The namespace belongs to chaoskit, so no traffic selector is needed: the fault applies to all IPv4 and IPv6 packets.
Every segment is a packet of its own (`gso_max_segs` 1), so that shares are shares of packets. Neighbours are permanent:
faults never delay address resolution.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

from chaoskit.errors import RefusedError
from chaoskit.knobs import (
    Address,
    Change,
    Clsact,
    Filter,
    Ifb,
    Knob,
    Link,
    Masquerade,
    MatchAll,
    Namespace,
    Neighbour,
    Netem,
    Route,
    Sysctl,
    Veth,
)
from chaoskit.topology.steering import HOOKS, IFBS, PRIORITY, OneDirection

NAMESPACE = "out"
LINK, HOST_LINK = "out", "chaos-out"
MAC, HOST_MAC = "02:00:00:00:ca:02", "02:00:00:00:ca:01"
MTU = 1500
PRIVATE_RANGES = tuple(map(IPv4Network, ("100.64.0.0/10", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_PREFIX_LENGTH = 30  # two hosts


def free_network(taken: Iterable[str]) -> IPv4Network:
    """The first network of two hosts that overlaps none of these IPv4 prefixes (default routes aside), from the range
    for carriers' own use (RFC 6598), then from the private ones (RFC 1918). Raises RefusedError."""
    used = [network for each in taken if (network := IPv4Network(each, strict=False)).prefixlen]
    for scope in PRIVATE_RANGES:
        for found in _free_subnets(scope, used):
            return found
    raise RefusedError("every private network has a route on this machine; to see the routes: ip route")


def _free_subnets(scope: IPv4Network, used: list[IPv4Network]) -> Iterator[IPv4Network]:
    """The free networks of a range. Each used network is skipped as a whole."""
    start = int(scope.network_address)
    while start <= int(scope.broadcast_address):
        candidate = IPv4Network((start, _PREFIX_LENGTH))
        overlapping = [network for network in used if network.overlaps(candidate)]
        if not overlapping:
            yield candidate
        start = (
            max([int(network.broadcast_address) for network in overlapping] + [int(candidate.broadcast_address)]) + 1
        )


def addresses(network: IPv4Network) -> tuple[str, str]:
    """The addresses of this machine's end of the link and of the namespace's end."""
    host, inside = network.hosts()
    return str(host), str(inside)


def build(network: IPv4Network, opened: Iterable[str] = ()) -> tuple[Change, ...]:
    """The namespace, its veth pair to this machine, and its masquerade, in the order of setting.

    All of it disappears with the namespace and with the process that set it. The exception is `forwarding`, on the
    links that are `opened` for the replies to this namespace alone.
    """
    host, inside = addresses(network)
    up = Link(up=True, mtu=MTU, gso_max_segs=1)
    return (
        (Knob("namespace", "", NAMESPACE), Namespace()),
        (Knob("sysctl", NAMESPACE, "net.ipv6.conf.all.disable_ipv6"), Sysctl("1")),
        (Knob("link", NAMESPACE, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535)),
        (Knob("veth", "", HOST_LINK), Veth(peer_place=NAMESPACE, peer=LINK, mac=HOST_MAC, peer_mac=MAC)),
        (Knob("sysctl", "", f"net.ipv6.conf.{HOST_LINK}.disable_ipv6"), Sysctl("1")),
        (Knob("address", "", f"{HOST_LINK} {host}/{_PREFIX_LENGTH}"), Address()),
        (Knob("address", NAMESPACE, f"{LINK} {inside}/{_PREFIX_LENGTH}"), Address()),
        (Knob("link", "", HOST_LINK), up),
        (Knob("link", NAMESPACE, LINK), up),
        (Knob("neighbour", "", f"{HOST_LINK} {inside}"), Neighbour(MAC)),
        (Knob("neighbour", NAMESPACE, f"{LINK} {host}"), Neighbour(HOST_MAC)),
        (Knob("route", NAMESPACE, "0.0.0.0/0"), Route(via=host)),
        (Knob("masquerade", "", " ".join((inside, HOST_LINK, *opened))), Masquerade()),
        forwarding(HOST_LINK),
    )


def forwarding(link: str) -> tuple[Knob, Sysctl]:
    """Forwarding of packets that arrive on this link, as replies do on the uplinks of this machine.

    It is set per link, because the global switch (ip_forward) also changes other parameters.
    """
    return Knob("sysctl", "", f"net.ipv4.conf.{link}.forwarding"), Sysctl("1")


def pasta_link(place: str, gateways: Iterable[str]) -> tuple[Change, ...]:
    """The settings of a link that pasta created: its sizes, and its gateways, all of which are pasta itself."""
    return (
        (Knob("link", place, LINK), Link(up=True, mtu=MTU, gso_max_segs=1)),
        *((Knob("neighbour", place, f"{LINK} {gateway}"), Neighbour(HOST_MAC)) for gateway in gateways),
    )


def shape(place: str, netems: dict[OneDirection, Netem]) -> tuple[Change, ...]:
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
            (Knob("filter", place, f"{LINK} {HOOKS['down']} {PRIORITY}"), Filter("all", MatchAll(), redirect_to=ifb)),
        ]
    return tuple(changes)


def needs(netems: dict[OneDirection, Netem]) -> frozenset[str]:
    """The kernel features that the fault needs."""
    down = {"ifb", "clsact", "matchall"} if "down" in netems else set()
    return frozenset({"namespaces", "netem"} | down)
