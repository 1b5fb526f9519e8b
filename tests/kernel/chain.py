"""Builds client - edge - fabric - gateway, model out of namespaces, as a lab of several hosts has them."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.knobs import Address, Change, Knob, Link, Namespace, Neighbour, Route, Sysctl, Veth

HOSTS = {"client": ("edge", 1), "gateway": ("fabric", 2), "model": ("fabric", 3)}
BETWEEN = 9  # the network of the two routers
FIRST = 4


def address(host: str, version: int) -> str:
    """The address of a host."""
    return _address(HOSTS[host][1], 1, version)


def chain() -> Iterator[Change]:
    """All changes that build it."""
    for place in ("client", "edge", "fabric", "gateway", "model"):
        yield Knob("namespace", "", place), Namespace()
        yield Knob("sysctl", place, "net.ipv6.conf.default.accept_dad"), Sysctl("0")
        yield Knob("link", place, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535)
    for router in ("edge", "fabric"):
        yield Knob("sysctl", router, "net.ipv4.ip_forward"), Sysctl("1")
        yield Knob("sysctl", router, "net.ipv6.conf.all.forwarding"), Sysctl("1")
    for host, (router, number) in HOSTS.items():
        yield from _link((router, f"to-{host}", 254), (host, "eth0", 1), number)
        yield from _routes(host, number, 254)
    yield from _link(("edge", "to-fabric", 254), ("fabric", "to-edge", 1), BETWEEN)
    yield from _routes("edge", BETWEEN, 1)
    yield from _routes("fabric", BETWEEN, 254)


def _address(number: int, host: int, version: int) -> str:
    return f"10.{number}.0.{host}" if version == FIRST else f"fd{number:02}::{host:x}"


def _link(near: tuple[str, str, int], far: tuple[str, str, int], number: int) -> Iterator[Change]:
    macs = [f"02:00:00:00:{number:02}:{end[2]:02x}" for end in (near, far)]
    yield Knob("veth", near[0], near[1]), Veth(far[0], far[1], mac=macs[0], peer_mac=macs[1])
    for (place, link, own), (_, _, other), mac in ((near, far, macs[1]), (far, near, macs[0])):
        for version, length in ((4, 24), (6, 64)):
            yield Knob("address", place, f"{link} {_address(number, own, version)}/{length}"), Address()
        yield Knob("link", place, link), Link(up=True, mtu=1500, gso_max_segs=1)
        for version in (4, 6):
            yield Knob("neighbour", place, f"{link} {_address(number, other, version)}"), Neighbour(mac)


def _routes(place: str, number: int, via: int) -> Iterator[Change]:
    yield Knob("route", place, "0.0.0.0/0"), Route(via=_address(number, via, 4))
    yield Knob("route", place, "::/0"), Route(via=_address(number, via, 6))
