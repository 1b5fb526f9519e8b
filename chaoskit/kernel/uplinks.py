"""What leads out of the network namespace that we are in, and who resolves names there. Changes nothing."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6

from pyroute2 import IPRoute

RESOLV = Path("/etc/resolv.conf")
UPSTREAMS = Path("/run/systemd/resolve/resolv.conf")  # systemd-resolved(8): whom its own stub asks
_UNICAST = 1
_NO_LINK = "0.0.0.0"


def prefixes() -> tuple[str, ...]:
    """Whatever IPv4 is routed to somewhere, in any table; default routes too, as 0.0.0.0/0."""
    with IPRoute(ext_ack=True) as ip:
        routes = list(ip.get_routes(family=AF_INET))
    return tuple(f"{route.get_attr('RTA_DST') or _NO_LINK}/{route['dst_len']}" for route in routes)


def links_out() -> tuple[str, ...]:
    """The links that IPv4 packets leave this machine by, sorted."""
    with IPRoute(ext_ack=True) as ip:
        numbers = set()
        for route in ip.get_routes(family=AF_INET):
            if route["type"] == _UNICAST:
                hops = route.get_attr("RTA_MULTIPATH") or ()
                numbers |= {route.get_attr("RTA_OIF"), *(hop["oif"] for hop in hops)} - {None}
        links = [link for link in ip.get_links() if link["index"] in numbers]
    return tuple(sorted(link.get_attr("IFLA_IFNAME") for link in links if not link["flags"] & 8))  # IFF_LOOPBACK


def forwards(link: str) -> bool:
    """Whether IPv4 packets that come in by this link may pass through this machine."""
    return Path("/proc/sys/net/ipv4/conf", link, "forwarding").read_text().strip() == "1"


def gateways() -> dict[int, str]:
    """The next hop of the default route of each IP version that has one."""
    found: dict[int, str] = {}
    with IPRoute(ext_ack=True) as ip:
        for version, family in ((4, AF_INET), (6, AF_INET6)):
            for route in ip.get_routes(family=family, table=254):
                if route["dst_len"] == 0 and route["type"] == _UNICAST and route.get_attr("RTA_GATEWAY"):
                    found.setdefault(version, str(route.get_attr("RTA_GATEWAY")))
    return found


def nameservers(path: Path = RESOLV) -> tuple[str, ...]:
    """Whom a resolver file names (resolv.conf(5)), scopes of IPv6 addresses aside."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    return tuple(each[1].partition("%")[0] for each in words if len(each) > 1 and each[0] == "nameserver")


def is_loopback(address: str) -> bool:
    """Whether another namespace cannot reach it; what is no address is not asked about."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
