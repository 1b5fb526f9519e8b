"""Decides whether a fault could hit the traffic that a machine is managed by.

Pure: lookups are done before.
A packet is hit if it matches every condition of the selection, so management traffic is in no danger from a selection
that contradicts one of its own: another host, another port, another protocol or IP version. A selection that names
neither a host nor a port of this machine hits every host, also those that are not known here to be dangerous.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from chaoskit.errors import RefusedError
from chaoskit.host_lookups import HostLookups, ManagementTraffic
from chaoskit.topology.steering import Remote, TrafficSelector

_MAX_NAMED = 6  # endangered things that a message names


def endangered(lookups: HostLookups, selector: TrafficSelector | None) -> tuple[str, ...]:
    """The management traffic of the interface that a fault on the selected traffic could hit, by name.

    `selector` None: the fault hits the whole interface.
    """
    if not lookups.management_uses:
        return ()
    if selector is None:
        return ("every host", *(each.name for each in lookups.management if not each.is_assumed))
    everybody = (f"every host{_at_port(each)}" for each in _remotes(selector) if _is_anybody(each, selector))
    names = (
        _named(each, lookups)
        for each in lookups.management
        if any(_hits(each, remote, selector) for remote in _remotes(selector))
    )
    arp = ("ARP",) if selector.matches_all else ()
    return tuple(dict.fromkeys((*everybody, *names, *arp)))


def refuse_danger(lookups: HostLookups, hits: tuple[str, ...], advice: str, permission: str) -> None:
    """Raises RefusedError when there are `hits` (of `endangered`).

    `advice` is a sentence on how to hit nothing else, `permission` says how to allow it all the same.
    """
    if not hits:
        return
    first, *others = lookups.management_uses
    uses = " and ".join((first, *(each.removeprefix("carries ") for each in others)))
    named = ", ".join(hits[:_MAX_NAMED]) + (f" and {len(hits) - _MAX_NAMED} more" if len(hits) > _MAX_NAMED else "")
    raise RefusedError(
        f"{lookups.interface} {uses}, and this fault could hit {named}: a mistake "
        f"there may cut you off. {advice}; to allow it: {permission}"
    )


def _named(traffic: ManagementTraffic, lookups: HostLookups) -> str:
    """Its name, with the host name that the user gave for its address."""
    hosts = [host for host, addresses in lookups.addresses.items() if traffic.address in addresses]
    return traffic.name + (f" (which is {hosts[0]})" if hosts else "")


def _remotes(selector: TrafficSelector) -> tuple[Remote, ...]:
    return selector.remotes or (Remote(),)


def _at_port(remote: Remote) -> str:
    return f" at port {remote.port}" if remote.port is not None else ""


def _is_anybody(remote: Remote, selector: TrafficSelector) -> bool:
    return _is_any(remote) and selector.local_port is None


def _is_any(remote: Remote) -> bool:
    return remote.prefix is None or ip_network(remote.prefix).prefixlen == 0


def _hits(traffic: ManagementTraffic, remote: Remote, selector: TrafficSelector) -> bool:
    return (
        _has_address(traffic, remote, selector)
        and _meet(remote.port, traffic.remote_ports)
        and _meet(selector.local_port, traffic.local_ports)
        and bool(traffic.protocols is None or traffic.protocols & set(_protocols(remote, selector)))
    )


def _has_address(traffic: ManagementTraffic, remote: Remote, selector: TrafficSelector) -> bool:
    """Whether the selected hosts are among those of the traffic.

    Traffic of any host counts where any host is selected, or a port of this machine: a host that the user names is
    taken to be none that manages it, unless it is known.
    """
    if traffic.address is None:
        return _is_any(remote) or selector.local_port is not None
    if traffic.is_assumed and _is_any(remote):
        return False
    address = ip_address(traffic.address)
    return address in ip_network(remote.prefix) if remote.prefix else address.version in selector.versions


def _meet(port: int | None, ports: frozenset[int] | None) -> bool:
    """Whether a selection of this port (None: any) has a port of the traffic's."""
    return port is None or ports is None or port in ports


def _protocols(remote: Remote, selector: TrafficSelector) -> Iterator[str]:
    if selector.protocol is not None:
        yield selector.protocol
        return
    yield from ("tcp", "udp")
    if remote.port is None and selector.local_port is None:
        yield "icmp"
