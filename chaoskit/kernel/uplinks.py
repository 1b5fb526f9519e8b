"""Looks up the routes out of the current network namespace, and its name servers. Changes nothing."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6

from pyroute2 import IPRoute

RESOLV_CONF = Path("/etc/resolv.conf")
SYSTEMD_RESOLV_CONF = Path(
    "/run/systemd/resolve/resolv.conf"
)  # systemd-resolved(8): the servers behind its stub resolver
_UNICAST = 1
_NO_LINK = "0.0.0.0"


def routed_prefixes() -> tuple[str, ...]:
    """All IPv4 prefixes with a route, in any table; default routes too, as 0.0.0.0/0."""
    with IPRoute(ext_ack=True) as ip:
        routes = list(ip.get_routes(family=AF_INET))
    return tuple(f"{route.get_attr('RTA_DST') or _NO_LINK}/{route['dst_len']}" for route in routes)


def egress_links() -> tuple[str, ...]:
    """The links of all IPv4 routes except loopback, sorted."""
    with IPRoute(ext_ack=True) as ip:
        numbers = set()
        for route in ip.get_routes(family=AF_INET):
            if route["type"] == _UNICAST:
                hops = route.get_attr("RTA_MULTIPATH") or ()
                numbers |= {route.get_attr("RTA_OIF"), *(hop["oif"] for hop in hops)} - {None}
        links = [link for link in ip.get_links() if link["index"] in numbers]
    return tuple(sorted(link.get_attr("IFLA_IFNAME") for link in links if not link["flags"] & 8))  # IFF_LOOPBACK


def is_forwarding(link: str) -> bool:
    """Whether this machine forwards IPv4 packets that arrive on this link."""
    return Path("/proc/sys/net/ipv4/conf", link, "forwarding").read_text().strip() == "1"


def gateways() -> dict[int, str]:
    """The next hop of the default route, by IP version."""
    found: dict[int, str] = {}
    with IPRoute(ext_ack=True) as ip:
        for version, family in ((4, AF_INET), (6, AF_INET6)):
            for route in ip.get_routes(family=family, table=254):
                if route["dst_len"] == 0 and route["type"] == _UNICAST and route.get_attr("RTA_GATEWAY"):
                    found.setdefault(version, str(route.get_attr("RTA_GATEWAY")))
    return found


def nameservers(path: Path = RESOLV_CONF) -> tuple[str, ...]:
    """The name servers of a resolver file (resolv.conf(5)), without scopes of IPv6 addresses."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    return tuple(each[1].partition("%")[0] for each in words if len(each) > 1 and each[0] == "nameserver")


def is_loopback(address: str) -> bool:
    """Whether the address is loopback, so that another namespace cannot reach it; False for text that is no address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
