"""Finds the traffic of an interface that a machine is managed by, or cannot work without.

It is looked for on an interface that carries a default route or an ssh session: ssh sessions and servers, gateways,
DHCP and neighbour discovery, name servers, the cloud's metadata service, and disks on the network. Servers count for
the interface that the kernel's routes to them use. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any

from pyroute2 import IPRoute

from chaoskit.host_lookups import ManagementTraffic
from chaoskit.kernel.route_lookup import egress_interface
from chaoskit.kernel.ssh_sessions import SshSession, SshSessions
from chaoskit.kernel.tcp_table import tcp_sockets
from chaoskit.kernel.uplinks import RESOLV_CONF, is_loopback, nameservers

STUB_UPSTREAMS = (
    Path("/run/systemd/resolve/resolv.conf"),  # systemd-resolved(8)
    Path("/run/NetworkManager/no-stub-resolv.conf"),  # NetworkManager.conf(5): rc-manager
    Path("/run/dnsmasq/resolv.conf"),  # Debian's dnsmasq with resolvconf(8)
)
"""Where a resolver on this machine keeps the servers that it asks itself."""
_UNICAST = 1  # linux/rtnetlink.h: RTN_UNICAST
_DHCP, _DHCP6, _ND = "255.255.255.255", "ff02::1:2", "ff02::1"  # RFC 2131, RFC 8415, RFC 4861
_DNS_PORTS = frozenset({53, 853, 443})  # plain, over TLS (RFC 7858), over HTTPS (RFC 8484)
_DISKS = {2049: "NFS", 3260: "iSCSI", 4420: "NVMe", 10809: "NBD", 445: "SMB"}  # TCP ports, IANA's
_METADATA = ("169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200")  # most clouds, EC2, Azure, Alibaba
_UDP, _ICMP, _TCP = frozenset({"udp"}), frozenset({"icmp"}), frozenset({"tcp"})
_EPHEMERAL: frozenset[int] = frozenset()


def management_roles(ip: IPRoute, link: Any, ssh: SshSessions) -> Iterator[str]:
    """Sentences about what depends on this link: "carries the default route (via 10.0.0.1)"."""
    for gateway in _default_routes(ip, link["index"]):
        yield "carries the default route" + (f" (via {gateway})" if gateway else "")
    for session in _sessions_on(ip, link, ssh):
        yield f"carries {_owned(session)} ssh session (from {session.peer})"


def management_traffic(ip: IPRoute, link: Any, ssh: SshSessions) -> Iterator[ManagementTraffic]:
    """The management traffic of a link that `management_roles` says something about."""
    name = link.get_attr("IFLA_IFNAME")
    for session in _sessions_on(ip, link, ssh):
        yield ManagementTraffic(
            f"{_owned(session)} ssh session from {session.peer}",
            session.peer,
            frozenset({session.peer_port}),
            frozenset({session.local_port}),
            _TCP,
        )
    if ssh.ports:
        ports = " and ".join(map(str, sorted(ssh.ports)))
        yield ManagementTraffic(f"new ssh sessions, at our port {ports}", None, _EPHEMERAL, ssh.ports, _TCP)
    versions: set[int] = set()
    for gateway in filter(None, _default_routes(ip, link["index"])):
        versions.add(ip_address(gateway).version)
        yield ManagementTraffic(f"the gateway {gateway}", gateway, None, frozenset({68, 546}))
    if 4 in versions:
        yield ManagementTraffic("DHCP", _DHCP, frozenset({67}), frozenset({68}), _UDP)
    if 6 in versions:
        yield ManagementTraffic("DHCPv6", _DHCP6, frozenset({547}), frozenset({546}), _UDP)
        yield ManagementTraffic("IPv6 neighbour discovery", _ND, None, None, _ICMP)
    for server in resolvers():
        if egress_interface(ip, server) == name:
            yield ManagementTraffic(f"the name server {server}", server, _DNS_PORTS, _EPHEMERAL)
    for address in _METADATA:
        if egress_interface(ip, address) == name:
            yield ManagementTraffic(
                f"the cloud's metadata service {address}", address, None, _EPHEMERAL, is_assumed=True
            )
    for (address, port), kind in _disks().items():
        if egress_interface(ip, address) == name:
            yield ManagementTraffic(f"the {kind} server {address}", address, frozenset({port}), _EPHEMERAL, _TCP)


def resolvers() -> tuple[str, ...]:
    """The name servers of this machine; where it runs a resolver of its own, also those that this one asks."""
    found = nameservers(RESOLV_CONF)
    if any(is_loopback(each) for each in found):
        found += tuple(server for path in STUB_UPSTREAMS for server in nameservers(path))
    return tuple(dict.fromkeys(each for each in found if _is_address(each) and not is_loopback(each)))


def _default_routes(ip: IPRoute, number: int) -> Iterator[str]:
    """The gateways of the default routes by this link, in any table; "" for a route without one, or with several."""
    seen = set()
    for family in (AF_INET, AF_INET6):
        for route in ip.get_routes(family=family):
            hops = route.get_attr("RTA_MULTIPATH") or ()
            links = (route.get_attr("RTA_OIF"), *(hop["oif"] for hop in hops))
            if route["dst_len"] == 0 and route["type"] == _UNICAST and number in links:
                gateways = [_gateway(route), *(_gateway(hop) for hop in hops if hop["oif"] == number)]
                for gateway in filter(None, gateways) if any(gateways) else [""]:
                    if (family, gateway) not in seen:
                        seen.add((family, gateway))
                        yield gateway


def _gateway(route: Any) -> str:
    via = route.get_attr("RTA_VIA") or {}  # an IPv4 route by way of an IPv6 router
    return str(route.get_attr("RTA_GATEWAY") or via.get("addr") or "")


def _sessions_on(ip: IPRoute, link: Any, ssh: SshSessions) -> Iterator[SshSession]:
    """Those whose packets leave by this link, or arrive at an address of it."""
    addresses = {each.get_attr("IFA_ADDRESS") for each in ip.get_addr(index=link["index"])}
    seen = set()
    for session in ssh.sessions:
        here = session.local in addresses or egress_interface(ip, session.peer) == link.get_attr("IFLA_IFNAME")
        if here and session not in seen:
            seen.add(session)
            yield session


def _owned(session: SshSession) -> str:
    return "your" if session.is_own else "an"


def _disks() -> dict[tuple[str, int], str]:
    """The servers of network disks and file systems that this machine is connected to, with their protocols."""
    return {
        (each.remote, each.remote_port): _DISKS[each.remote_port]
        for each in tcp_sockets()
        if each.is_connected and each.remote_port in _DISKS
    }


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
