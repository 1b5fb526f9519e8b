"""Builds a lab from its topology: every knob of its namespaces, links, addresses and routes, in order.

Neighbours are permanent and MAC addresses fixed: faults never delay address resolution. Every segment is a packet of
its own (`gso_max_segs` 1), so that shares are shares of packets. Ifbs, and the filters that lead to them, are created
only where a fault needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    Veth,
)
from chaoskit.topology.lab import Attachment, Topology
from chaoskit.topology.steering import PRIORITY
from chaoskit.topology.ways import PAIR, pair_filters, trunk_routes

LINK_MTU = 1500
VLAN_TAG = 4  # bytes that a veth takes beyond its MTU (net/core/skbuff.c, is_skb_forwardable)
BOTH_VERSIONS = (4, 6)
_UP = Link(up=True, mtu=LINK_MTU, gso_max_segs=1)
_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True)
class RouteSizes:
    """Sizes of an end host's default routes, in bytes; None: as the link has it."""

    mtu: int | None = None
    advmss: int | None = None


_LINK_SIZES = RouteSizes()


def build(
    topology: Topology, touched: frozenset[Knob], versions: tuple[int, ...] = BOTH_VERSIONS
) -> tuple[Change, ...]:
    """Every knob of the lab in the order of building, for the IP `versions`.

    `touched` are the knobs that faults will use: their qdiscs and filters need an ifb or a clsact.
    """
    changes: list[Change] = [(Knob("namespace", "", node), Namespace()) for node in topology.nodes]
    for node in topology.nodes:
        changes += [
            (Knob("sysctl", node, "net.ipv6.conf.default.accept_dad"), Sysctl("0")),
            (Knob("sysctl", node, "net.ipv6.conf.default.accept_ra"), Sysctl("0")),
            (Knob("sysctl", node, "net.ipv6.conf.default.router_solicitations"), Sysctl("0")),
            (Knob("sysctl", node, "net.ipv6.conf.default.addr_gen_mode"), Sysctl("1")),
            (Knob("link", node, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535)),
        ]
    for router in topology.routers:
        changes += [
            (Knob("sysctl", router, "net.ipv4.ip_forward"), Sysctl("1")),
            (Knob("sysctl", router, "net.ipv6.conf.all.forwarding"), Sysctl("1")),
        ]
    for trunk in topology.trunks():
        changes += _link(trunk, f"to-{trunk.router}", versions)
    for router in topology.routers:
        for version in versions:
            changes += [(Knob("route", router, to), route) for to, route in trunk_routes(topology, router, version)]
    for attachment in topology.attachments:
        changes += _link(attachment, "eth0", versions)
        changes += _default_routes(attachment, versions, _LINK_SIZES)
        changes += _steering(topology, attachment, touched)
    return tuple(changes)


def _link(attachment: Attachment, far_link: str, versions: tuple[int, ...]) -> Iterator[Change]:
    """A veth pair with its addresses; `far_link` is the name of its end at the host."""
    router, host, link = attachment.router, attachment.host, attachment.link
    mac, far_mac = f"02:00:00:00:{attachment.number:02x}:fe", f"02:00:00:00:{attachment.number:02x}:01"
    nets = [net for version, net in attachment.nets.items() if version in versions]
    yield Knob("veth", router, link), Veth(peer_place=host, peer=far_link, mac=mac, peer_mac=far_mac)
    for net in nets:
        yield Knob("address", router, f"{link} {net.router}/{net.length}"), Address()
    for net in nets:
        yield Knob("address", host, f"{far_link} {net.host}/{net.length}"), Address()
    yield Knob("link", router, link), _UP
    yield Knob("link", host, far_link), _UP
    for net in nets:
        yield Knob("neighbour", router, f"{link} {net.host}"), Neighbour(far_mac)
    for net in nets:
        yield Knob("neighbour", host, f"{far_link} {net.router}"), Neighbour(mac)


def _steering(topology: Topology, attachment: Attachment, touched: frozenset[Knob]) -> Iterator[Change]:
    """The ifbs of a host's link, and the filters that lead to them."""
    router, link = attachment.router, attachment.link
    own = Knob("qdisc", router, attachment.ifb) in touched
    pairs = [
        (ifb, change) for ifb, change in pair_filters(topology, attachment) if Knob("qdisc", router, ifb) in touched
    ]
    ifbs = dict.fromkeys(([attachment.ifb] if own else []) + [ifb for ifb, _ in pairs])
    for ifb in ifbs:
        yield Knob("ifb", router, ifb), Ifb()
        yield Knob("link", router, ifb), _UP
    is_filtered = any(
        (knob.kind, knob.place) == ("filter", router) and knob.name.startswith(f"{link} ") for knob in touched
    )
    if ifbs or is_filtered:
        yield Knob("clsact", router, link), Clsact()
    if own:
        to_own = Filter("all", MatchAll(), redirect_to=attachment.ifb)
        yield Knob("filter", router, f"{link} ingress {PRIORITY}"), to_own
    yield from (change for _, change in pairs)


def default_routes(
    topology: Topology, host: str, sizes: RouteSizes, versions: tuple[int, ...] = BOTH_VERSIONS
) -> tuple[Change, ...]:
    """The default routes of a host with these sizes; to be set after `build`."""
    return tuple(_default_routes(topology.attachment(host), versions, sizes))


def _default_routes(attachment: Attachment, versions: tuple[int, ...], sizes: RouteSizes) -> Iterator[Change]:
    for version, net in attachment.nets.items():
        if version in versions:
            route = Route(via=net.router, mtu=sizes.mtu or 0, advmss=sizes.advmss or 0)
            yield Knob("route", attachment.host, _EVERYWHERE[version]), route


def needs(touched: frozenset[Knob]) -> frozenset[str]:
    """The kernel features that the lab needs."""
    kinds = {
        "ifb-": {"ifb", "clsact", "matchall"},
        PAIR: {"ifb", "clsact", "u32"},
    }
    found = [features for start, features in kinds.items() if any(knob.name.startswith(start) for knob in touched)]
    return frozenset({"namespaces", "veth"}).union(*found)
