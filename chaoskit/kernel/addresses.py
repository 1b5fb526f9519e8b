"""Reads and writes addresses, routes and permanent neighbours in the namespace of `ip`."""

from __future__ import annotations

import errno
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from socket import AF_INET, AF_INET6
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl.ndmsg import NUD_PERMANENT

from chaoskit.errors import RefusedError
from chaoskit.kernel import links
from chaoskit.kernel.links import find, index
from chaoskit.knobs import Address, Neighbour, Route

_MAIN_TABLE = 254
_STATIC = 4  # RTPROT_STATIC: set by an administrator or by chaoskit, not by a daemon or the kernel
_UNICAST = 1  # RTN_UNICAST
_LINK, _ANY = 253, 255  # RT_SCOPE_LINK: no router in between; RT_SCOPE_NOWHERE
_SIZES = {"mtu": "RTAX_MTU", "advmss": "RTAX_ADVMSS"}
_PLAIN = {"RTA_METRICS", "RTA_TABLE", "RTA_DST", "RTA_GATEWAY", "RTA_OIF", "RTA_PRIORITY", "RTA_CACHEINFO", "RTA_PREF"}


def read_address(ip: IPRoute, name: str) -> Address | None:
    """Whether the address is on the link; `name` is "LINK ADDRESS/LENGTH"."""
    link, _, text = name.partition(" ")
    wanted = ip_interface(text)
    link_message = find(ip, link)
    if link_message is None:
        return None
    for message in ip.get_addr(index=link_message["index"], family=_family(wanted.version)):
        found = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if ip_address(found) == wanted.ip and message["prefixlen"] == wanted.network.prefixlen:
            return Address()
    return None


def write_address(ip: IPRoute, name: str, wanted: Address | None) -> None:
    """Add the address to the link, or remove it."""
    link, _, text = name.partition(" ")
    address = ip_interface(text)
    if (read_address(ip, name) is None) != (wanted is None):
        verb = "del" if wanted is None else "add"
        ip.addr(verb, index=index(ip, link), address=str(address.ip), prefixlen=address.network.prefixlen)


def read_route(ip: IPRoute, name: str) -> Route | None:
    """The next hop of the route `name`, "PREFIX" or "PREFIX table NUMBER", and its sizes. Raises RefusedError for a
    route with other attributes, because it could not be restored exactly."""
    prefix, table = _place(name)
    found = _routes(ip, ip_network(prefix), table)
    if not found:
        return None
    route, *others = found
    sizes = dict((route.get_attr("RTA_METRICS") or {"attrs": ()})["attrs"])
    is_plain = route["type"] == _UNICAST and route["proto"] == _STATIC and route["tos"] == 0 and _priority(route) == 0
    if (
        others
        or not is_plain
        or not {key for key, _ in route["attrs"]} <= _PLAIN
        or sizes.keys() - set(_SIZES.values())
    ):
        raise RefusedError(
            f"route {name} is more than one plain next hop and could not be restored; to see it: ip route show {name}"
        )
    via = route.get_attr("RTA_GATEWAY")
    dev = None if via else links.name(ip, route.get_attr("RTA_OIF"))
    return Route(via, dev, **{field: sizes.get(metric, 0) for field, metric in _SIZES.items()})


def write_route(ip: IPRoute, name: str, wanted: Route | None) -> None:
    """Set the next hop and the sizes, or remove the route."""
    prefix, table = _place(name)
    network = ip_network(prefix)
    family = _family(network.version)
    if wanted is not None:
        next_hop = {"gateway": wanted.via} if wanted.via else {"oif": index(ip, wanted.dev or ""), "scope": _LINK}
        sizes = {field: size for field in _SIZES if (size := getattr(wanted, field))}
        ip.route("replace", family=family, dst=prefix, table=table, **next_hop, **({"metrics": sizes} if sizes else {}))
    elif _routes(ip, network, table):
        ip.route("del", family=family, dst=prefix, table=table, scope=_ANY)


def flush_path_mtus(ip: IPRoute) -> None:
    """Flush the path MTUs that IPv6 has cached: they belong to routes and disappear when the routes are set again.

    For IPv4 net.ipv4.route.flush does this; the IPv6 parameter of that name keeps path MTUs that have not expired
    (net/ipv6/route.c: rt6_age_examine_exception).
    """
    for route in ip.get_routes(family=AF_INET6, table=_MAIN_TABLE):
        if route["proto"] == _STATIC:
            name = str(_prefix(route, ip_network("::/0")))
            write_route(ip, name, read_route(ip, name))


def read_neighbour(ip: IPRoute, name: str) -> Neighbour | None:
    """The permanent entry `name`, "LINK ADDRESS"; entries that the kernel learned do not count."""
    link, _, address = name.partition(" ")
    link_message = find(ip, link)
    if link_message is None:
        return None
    for message in ip.get_neighbours(ifindex=link_message["index"], family=_family(ip_address(address).version)):
        if message["state"] & NUD_PERMANENT and ip_address(message.get_attr("NDA_DST")) == ip_address(address):
            return Neighbour(mac=message.get_attr("NDA_LLADDR"))
    return None


def write_neighbour(ip: IPRoute, name: str, wanted: Neighbour | None) -> None:
    """Set the permanent entry, or remove it."""
    link, _, address = name.partition(" ")
    number = index(ip, link)
    if wanted is not None:
        ip.neigh("replace", ifindex=number, dst=address, lladdr=wanted.mac, state=NUD_PERMANENT)
        return
    try:
        ip.neigh("del", ifindex=number, dst=address)
    except NetlinkError as error:
        if error.code != errno.ENOENT:
            raise


def _place(name: str) -> tuple[str, int]:
    """The prefix of a route, and the number of its table."""
    prefix, _, table = name.partition(" table ")
    return prefix, int(table or _MAIN_TABLE)


def _routes(ip: IPRoute, network: IPv4Network | IPv6Network, table: int) -> list[Any]:
    """A table's routes for exactly this prefix."""
    messages = ip.get_routes(family=_family(network.version), table=table)
    return [message for message in messages if _prefix(message, network) == network]


def _prefix(message: Any, like: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    nothing = "0.0.0.0" if like.version == 4 else "::"
    return ip_network(f"{message.get_attr('RTA_DST') or nothing}/{message['dst_len']}")


def _priority(route: Any) -> int:
    """0 for the default priority of the family: 0, or 1024 for IPv6 (IP6_RT_PRIO_USER)."""
    priority: int = route.get_attr("RTA_PRIORITY") or 0
    return 0 if route["family"] == AF_INET6 and priority == 1024 else priority


def _family(version: int) -> int:
    return int(AF_INET if version == 4 else AF_INET6)
