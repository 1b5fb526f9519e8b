"""Reads and writes links in the namespace of `ip`: veth pairs, ifbs, flags and sizes."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from socket import AF_INET6
from typing import Any, Protocol

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from chaoskit.counters import QueueCounters
from chaoskit.errors import RefusedError
from chaoskit.knobs import Ifb, Link, Mtu, Veth

_IFF_UP = 1
_IPV6_MIN_MTU = 1280  # RFC 8200, section 5
_NO_IPV6_ADDRESSES = {"attrs": [["AF_INET6", {"attrs": [["IFLA_INET6_ADDR_GEN_MODE", 1]]}]]}  # linux/if_link.h: NONE
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EOPNOTSUPP)


class NamespaceHandle(Protocol):
    """An open network namespace: its descriptor, and a netlink socket inside it."""

    @property
    def fd(self) -> int: ...

    @property
    def ip(self) -> IPRoute: ...


def find(ip: IPRoute, name: str) -> Any | None:
    """The link's message, or None when there is none of that name."""
    try:
        return ip.link("get", ifname=name)[0]
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise


def index(ip: IPRoute, name: str) -> int:
    """The link's number. Raises NetlinkError (ENODEV) when there is none of that name."""
    number: int = ip.link("get", ifname=name)[0]["index"]
    return number


def name(ip: IPRoute, number: int) -> str:
    """The name of the link with this number. Raises NetlinkError (ENODEV)."""
    text: str = ip.link("get", index=number)[0].get_attr("IFLA_IFNAME")
    return text


def read_link(ip: IPRoute, name: str) -> Link | None:
    """The flags and sizes of a link."""
    message = find(ip, name)
    return None if message is None else _link(message)


def write_link(ip: IPRoute, name: str, wanted: Link | None) -> None:
    """Set what differs. Refuses an MTU that makes the kernel remove the IPv6 addresses, which could not be restored."""
    if wanted is None:
        raise RefusedError(f"link {name} cannot be removed through its flags; to remove the link: ip link del {name}")
    message = ip.link("get", ifname=name)[0]
    number, now = message["index"], _link(message)
    _keep_addresses(ip, message, wanted.mtu)
    sizes = {key: getattr(wanted, key) for key in ("mtu", "gso_max_segs") if getattr(now, key) != getattr(wanted, key)}
    ip.link("set", index=number, state="up" if wanted.up else "down", **sizes)


def read_mtu(ip: IPRoute, name: str) -> Mtu | None:
    """The link's MTU."""
    message = find(ip, name)
    return None if message is None else Mtu(message.get_attr("IFLA_MTU"))


def write_mtu(ip: IPRoute, name: str, wanted: Mtu | None) -> None:
    """Set the MTU. Refuses one that removes the IPv6 addresses, as `write_link` does."""
    if wanted is None:
        raise RefusedError(f"link {name} always has an MTU; to remove the link: ip link del {name}")
    message = ip.link("get", ifname=name)[0]
    _keep_addresses(ip, message, wanted.bytes)
    ip.link("set", index=message["index"], mtu=wanted.bytes)


def receive_counters(ip: IPRoute, name: str) -> QueueCounters | None:
    """The receive counters of the link. A veth counts packets that are too long for it as dropped (net/core/dev.c)."""
    message = find(ip, name)
    if message is None:
        return None
    statistics = message.get_attr("IFLA_STATS64")
    return QueueCounters(statistics["rx_packets"], statistics["rx_bytes"], statistics["rx_dropped"], 0, 0, 0, 0)


def _keep_addresses(ip: IPRoute, message: Any, mtu: int) -> None:
    name, now = message.get_attr("IFLA_IFNAME"), message.get_attr("IFLA_MTU")
    if mtu < _IPV6_MIN_MTU <= now and list(ip.get_addr(index=message["index"], family=AF_INET6)):
        raise RefusedError(
            f"link {name} would lose its IPv6 addresses with an MTU of {mtu}: "
            f"give at least {_IPV6_MIN_MTU}, or first: ip -6 address flush dev {name}"
        )


def _link(message: Any) -> Link:
    return Link(
        up=bool(message["flags"] & _IFF_UP),
        mtu=message.get_attr("IFLA_MTU"),
        gso_max_segs=message.get_attr("IFLA_GSO_MAX_SEGS"),
    )


def read_ifb(ip: IPRoute, name: str) -> Ifb | None:
    """Whether the ifb exists. Raises RefusedError when the link is of another kind."""
    return None if _find_kind(ip, name, "ifb") is None else Ifb()


def write_ifb(ip: IPRoute, name: str, wanted: Ifb | None) -> None:
    """Create or remove the ifb. It has no IPv6 addresses, whose packets would pass its netem."""
    if wanted is None:
        remove(ip, name)
        return
    if read_ifb(ip, name) is None:
        ip.link("add", ifname=name, kind="ifb")
    try:
        ip.link("set", index=index(ip, name), af_spec=_NO_IPV6_ADDRESSES)
    except NetlinkError as error:
        if error.code not in _NO_IPV6:
            raise


def read_veth(ip: IPRoute, name: str, places: Mapping[str, NamespaceHandle]) -> Veth | None:
    """The veth pair with the place of its peer. Raises RefusedError when the peer is in a foreign namespace, or when
    the link is of another kind."""
    link = _find_kind(ip, name, "veth")
    if link is None:
        return None
    found = _peer_place(ip, link, places)
    if found is None:
        raise RefusedError(f"the peer of veth {name} is in a namespace that is not chaoskit's; to see it: ip -d link")
    peer = places[found].ip.link("get", index=link.get_attr("IFLA_LINK"))[0]
    return Veth(
        peer_place=found,
        peer=peer.get_attr("IFLA_IFNAME"),
        mac=link.get_attr("IFLA_ADDRESS"),
        peer_mac=peer.get_attr("IFLA_ADDRESS"),
    )


def write_veth(ip: IPRoute, name: str, wanted: Veth | None, places: Mapping[str, NamespaceHandle]) -> None:
    """Create the veth pair, or remove it. A pair with other settings is replaced."""
    remove(ip, name)
    if wanted is not None:
        peer = {"ifname": wanted.peer, "net_ns_fd": places[wanted.peer_place].fd, "address": wanted.peer_mac}
        ip.link("add", ifname=name, kind="veth", address=wanted.mac, peer=peer)


def remove(ip: IPRoute, name: str) -> None:
    """Delete the link if it exists. It may disappear meanwhile: a veth pair is removed with either of its ends."""
    link = find(ip, name)
    if link is None:
        return
    try:
        ip.link("del", index=link["index"])
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise


def _find_kind(ip: IPRoute, name: str, kind: str) -> Any | None:
    link = find(ip, name)
    if link is None:
        return None
    info = link.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != kind:
        raise RefusedError(f"link {name} exists already and is no {kind}; to remove it: ip link del {name}")
    return link


def _peer_place(ip: IPRoute, link: Any, places: Mapping[str, NamespaceHandle]) -> str | None:
    """The place of the peer, which the kernel identifies by a namespace id that is local to this namespace."""
    number = link.get_attr("IFLA_LINK_NETNSID")
    for place, space in places.items():
        if space.ip is ip if number is None else ip.get_netnsid(fd=space.fd)["nsid"] == number:
            return place
    return None
