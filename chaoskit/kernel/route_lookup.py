"""Looks up the kernel's route to an address, with its MTUs. Changes nothing, sends nothing."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from chaoskit.errors import RefusedError
from chaoskit.host_lookups import FirstHop

_LOCAL = 2  # linux/rtnetlink.h: RTN_LOCAL
_LOOPBACK = 8  # linux/if.h: IFF_LOOPBACK
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL)
_MTU_PROBING = Path("/proc/sys/net/ipv4/tcp_mtu_probing")  # for IPv6 too


def first_hop(address: str) -> FirstHop:
    """The interface, source address, gateway and MTUs of the route to `address`.

    Raises RefusedError without a route.
    """
    with IPRoute(ext_ack=True) as ip:
        try:
            route = ip.route("get", dst=address)[0]
        except NetlinkError as error:
            if error.code not in _NO_ROUTE:
                raise
            version = 6 if ":" in address else 4
            raise RefusedError(f"no route leads to {address}; to see the routes: ip -{version} route") from None
        link = ip.link("get", index=route.get_attr("RTA_OIF"))[0]
    mtu, left = _route_mtu(route), _expires(route)
    return FirstHop(
        interface=link.get_attr("IFLA_IFNAME"),
        source=route.get_attr("RTA_PREFSRC"),
        gateway=route.get_attr("RTA_GATEWAY"),
        link_mtu=link.get_attr("IFLA_MTU"),
        route_mtu=mtu if not left else None,
        cached_mtu=mtu if left else None,
        cached_for=left or None,
        is_local=route["type"] == _LOCAL or bool(link["flags"] & _LOOPBACK),
        mtu_probing=int(_MTU_PROBING.read_text()),
    )


def egress_interface(ip: IPRoute, address: str) -> str | None:
    """The interface of the route to the address; None without a route."""
    try:
        route = ip.route("get", dst=address)[0]
    except NetlinkError as error:
        if error.code in _NO_ROUTE:
            return None
        raise
    name: str = ip.link("get", index=route.get_attr("RTA_OIF"))[0].get_attr("IFLA_IFNAME")
    return name


def _route_mtu(route: Any) -> int | None:
    metrics = route.get_attr("RTA_METRICS")
    mtu: int | None = metrics.get_attr("RTAX_MTU") if metrics else None
    return mtu


def _expires(route: Any) -> int:
    """Seconds until the cached MTU of a router's ICMP message expires; 0 if it never does."""
    cached = route.get_attr("RTA_CACHEINFO")
    return max(0, round(cached["rta_expires"] / 100)) if cached else 0  # in USER_HZ
