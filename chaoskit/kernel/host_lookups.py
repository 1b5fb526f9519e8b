"""Looks up a real interface, its routes and its filters before a plan is made. Changes nothing.

Names are resolved by the machine's resolver, to all of their addresses; the interface is the one that the kernel's
routes to them use. Ssh sessions are those of this process and of its ancestors: sudo removes them from the
environment, so the environments of the ancestors are read.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from chaoskit.errors import RefusedError
from chaoskit.host_lookups import HostLookups
from chaoskit.kernel.links import find
from chaoskit.kernel.tc import classifiers
from chaoskit.kernel.tc.foreign_filters import terminating_filters, unusable_hooks, warnings

_MAX_PACKET = 65_535  # bytes; the limit of a link that reports no greatest MTU
_UP, _LOOPBACK = 1, 8  # linux/if.h: IFF_UP, IFF_LOOPBACK
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES)


def look_up(interface: str | None, hosts: Iterable[str]) -> HostLookups:
    """The lookups of the interface (None: the one that leads to the `hosts`: names, addresses or CIDRs).

    Raises RefusedError for a name without an address, and when no interface, or more than one, leads to the hosts.
    """
    hosts = tuple(hosts)
    addresses = {host: resolve(host) for host in hosts if not _is_prefix(host)}
    peers = ssh_peers(_ancestors())
    classifiers.register()
    with IPRoute(ext_ack=True) as ip:
        link = _link(ip, interface or _interface_to(ip, hosts, addresses))
        name = link.get_attr("IFLA_IFNAME")
        return HostLookups(
            interface=name,
            mtu=link.get_attr("IFLA_MTU"),
            min_mtu=link.get_attr("IFLA_MIN_MTU") or 0,
            max_mtu=link.get_attr("IFLA_MAX_MTU") or _MAX_PACKET,
            is_up=bool(link["flags"] & _UP),
            is_loopback=bool(link["flags"] & _LOOPBACK),
            addresses=addresses,
            management_uses=tuple(_management_roles(ip, link["index"], peers)),
            foreign=tuple(warnings(ip, link)),
            filters=tuple(terminating_filters(ip, link)),
            blocked_hooks=unusable_hooks(ip, link),
            other_interfaces=dict(_routed_elsewhere(ip, name, hosts, addresses)),
            ssh_peers=peers,
        )


def resolve(name: str) -> tuple[str, ...]:
    """All addresses of a host name, IPv4 first. Raises RefusedError when there is none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RefusedError(f"{name} does not resolve ({error.strerror}): check the name, or give its address") from None
    addresses = {ip_address(str(place[0]).partition("%")[0]) for *_, place in found}
    return tuple(str(address) for address in sorted(addresses, key=lambda each: (each.version, each)))


def ssh_peers(environments: Iterable[bytes]) -> tuple[str, ...]:
    """The peer addresses of the ssh sessions in these process environments (in the format of /proc/PID/environ)."""
    peers: dict[str, None] = {}
    for environment in environments:
        for entry in environment.split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"SSH_CONNECTION" and value.split():
                peers[value.split()[0].decode(errors="replace").partition("%")[0]] = None
    return tuple(peer for peer in peers if _is_prefix(peer))


def _ancestors() -> Iterator[bytes]:
    """The environments of this process and of its ancestors, as far as they are readable."""
    process = Path("/proc/self")
    while True:
        try:
            status = (process / "status").read_text()
        except OSError:
            return
        with suppress(OSError):  # another user's
            yield (process / "environ").read_bytes()
        parent = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
        if parent == "0":
            return
        process = Path("/proc", parent)


def _is_prefix(host: str) -> bool:
    try:
        ip_network(host, strict=False)
    except ValueError:
        return False
    return True


def _link(ip: IPRoute, name: str) -> Any:
    link = find(ip, name)
    if link is None:
        names = ", ".join(each.get_attr("IFLA_IFNAME") for each in ip.get_links())
        raise RefusedError(f"there is no interface {name} here; there are: {names}")
    return link


def _interface_to(ip: IPRoute, hosts: tuple[str, ...], addresses: dict[str, tuple[str, ...]]) -> str:
    """The one interface that the routes to all of these hosts use; hosts without a route are ignored."""
    found: dict[str, str] = {}
    for host, address, interface_name in _egress_interfaces(ip, hosts, addresses):
        found.setdefault(interface_name, f"{host} ({address})" if host != address else host)
    if not found:
        raise RefusedError(f"no route leads to {', '.join(hosts)}: see ip route, or name an --interface")
    if len(found) > 1:
        interfaces = " and ".join(f"{name} to {host}" for name, host in found.items())
        raise RefusedError(f"more than one interface leads to these hosts, {interfaces}: name one with --interface")
    return next(iter(found))


def _routed_elsewhere(
    ip: IPRoute, interface: str, hosts: tuple[str, ...], addresses: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """The hosts that no route leads to by this interface, with the interfaces that are used instead."""
    interfaces: dict[str, set[str]] = {}
    for host, _, interface_name in _egress_interfaces(ip, hosts, addresses):
        interfaces.setdefault(host, set()).add(interface_name)
    for host, names in interfaces.items():
        if interface not in names:
            yield host, " and ".join(sorted(names))


def _egress_interfaces(
    ip: IPRoute, hosts: tuple[str, ...], addresses: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, str, str]]:
    """Each host, each of its addresses, and the egress interface; addresses without a route are left out."""
    for host in hosts:
        for address in addresses.get(host) or (str(ip_network(host, strict=False).network_address),):
            if interface_name := _egress_interface(ip, address):
                yield host, address, interface_name


def _egress_interface(ip: IPRoute, address: str) -> str | None:
    """The egress interface of the route to the address; None without a route."""
    try:
        route = ip.route("get", dst=address)[0]
    except NetlinkError as error:
        if error.code in _NO_ROUTE:
            return None
        raise
    number = route.get_attr("RTA_OIF")
    name: str = ip.link("get", index=number)[0].get_attr("IFLA_IFNAME")
    return name


def _management_roles(ip: IPRoute, number: int, peers: tuple[str, ...]) -> Iterator[str]:
    name = ip.link("get", index=number)[0].get_attr("IFLA_IFNAME")
    for family in (socket.AF_INET, socket.AF_INET6):
        for route in ip.get_routes(family=family, table=254):
            hops = route.get_attr("RTA_MULTIPATH") or ()
            if route["dst_len"] == 0 and number in (route.get_attr("RTA_OIF"), *(hop["oif"] for hop in hops)):
                via = route.get_attr("RTA_GATEWAY")
                yield "carries the default route" + (f" (via {via})" if via else "")
    for peer in peers:
        if _egress_interface(ip, peer) == name:
            yield f"carries your ssh session (from {peer})"
