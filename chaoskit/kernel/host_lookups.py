"""Looks up a real interface, its routes and its filters before a plan is made. Changes nothing.

Names are resolved by the machine's resolver, to all of their addresses; the interface is the one that the kernel's
routes to them use. `kernel.management` finds the traffic that this machine is managed by.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from pyroute2 import IPRoute

from chaoskit.errors import RefusedError
from chaoskit.host_lookups import HostLookups
from chaoskit.kernel import namespaces
from chaoskit.kernel.links import find
from chaoskit.kernel.management import management_roles, management_traffic
from chaoskit.kernel.route_lookup import egress_interface
from chaoskit.kernel.ssh_sessions import ssh_sessions
from chaoskit.kernel.tc import classifiers
from chaoskit.kernel.tc.foreign_filters import terminating_filters, unusable_hooks, warnings

_MAX_PACKET = 65_535  # bytes; the limit of a link that reports no greatest MTU
_UP, _LOOPBACK = 1, 8  # linux/if.h: IFF_UP, IFF_LOOPBACK


def look_up(interface: str | None, hosts: Iterable[str]) -> HostLookups:
    """The lookups of the interface (None: the one that leads to the `hosts`: names, addresses or CIDRs).

    Raises RefusedError for a name without an address, and when no interface, or more than one, leads to the hosts.
    """
    hosts = tuple(hosts)
    addresses = {host: resolve(host) for host in hosts if not _is_prefix(host)}
    classifiers.register()
    with IPRoute(ext_ack=True) as ip:
        link = _link(ip, interface or _interface_to(ip, hosts, addresses))
        name = link.get_attr("IFLA_IFNAME")
        sessions = ssh_sessions()
        roles = tuple(management_roles(ip, link, sessions))
        return HostLookups(
            interface=name,
            mtu=link.get_attr("IFLA_MTU"),
            min_mtu=link.get_attr("IFLA_MIN_MTU") or 0,
            max_mtu=link.get_attr("IFLA_MAX_MTU") or _MAX_PACKET,
            is_up=bool(link["flags"] & _UP),
            is_loopback=bool(link["flags"] & _LOOPBACK),
            addresses=addresses,
            management_uses=roles,
            management=tuple(management_traffic(ip, link, sessions)) if roles else (),
            foreign=tuple(warnings(ip, link)),
            filters=tuple(terminating_filters(ip, link)),
            blocked_hooks=unusable_hooks(ip, link),
            namespace=namespaces.current_inode(),
            other_interfaces=dict(_routed_elsewhere(ip, name, hosts, addresses)),
        )


def resolve(name: str) -> tuple[str, ...]:
    """All addresses of a host name, IPv4 first. Raises RefusedError when there is none."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RefusedError(f"{name} does not resolve ({error.strerror}): check the name, or give its address") from None
    addresses = {ip_address(str(place[0]).partition("%")[0]) for *_, place in found}
    return tuple(str(address) for address in sorted(addresses, key=lambda each: (each.version, each)))


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
            if interface_name := egress_interface(ip, address):
                yield host, address, interface_name
