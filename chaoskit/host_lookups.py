"""Holds what is looked up on the host before planning: interface, addresses of names, route to a host."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ForeignFilter:
    """A filter of another program, which may keep packets from the filters after it.

    `hook` is "ingress" or "egress", `kind` the classifier ("matchall", "bpf"). `sees` are the IP versions whose packets
    it gets, and `takes` those of which no packet passes it.
    """

    hook: str
    kind: str
    priority: int
    sees: frozenset[int]
    takes: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ManagementTraffic:
    """Traffic that this machine is reached by, or cannot work without: an ssh session, DNS, a disk on the network.

    `name` says what it is: "the gateway 10.0.0.1". `address` is the remote end (None: any host), `remote_ports` and
    `local_ports` the ports it uses (None: any; empty: chosen by the kernel, so no selection means them), `protocols`
    are those of a selection (None: any). What `is_assumed` was not seen on this machine, and counts only where a
    selection names hosts.
    """

    name: str
    address: str | None
    remote_ports: frozenset[int] | None = None
    local_ports: frozenset[int] | None = None
    protocols: frozenset[str] | None = None
    is_assumed: bool = False


@dataclass(frozen=True)
class HostLookups:
    """A real interface, as it was at the time of the lookup.

    `addresses` are those of each requested host name, IPv4 and IPv6, in canonical form. `management_uses` are sentences
    about what the machine's access depends on: "carries the default route (via 10.0.0.1)", "carries your ssh session
    (from 10.0.0.9)"; `management` is that traffic of this interface. `foreign` are sentences about qdiscs and filters
    of other programs that a fault leaves in place; `filters` are those filters that may keep packets from chaoskit's.
    `blocked_hooks` has, for each hook that takes no filter of chaoskit's, the reason and what to type.
    `other_interfaces` has, for each requested host that the kernel reaches through another interface, that one.
    `namespace` is the inode of the network namespace.
    """

    interface: str
    mtu: int = 1500
    min_mtu: int = 68
    max_mtu: int = 65_535
    is_up: bool = True
    is_loopback: bool = False
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    management_uses: tuple[str, ...] = ()
    management: tuple[ManagementTraffic, ...] = ()
    foreign: tuple[str, ...] = ()
    filters: tuple[ForeignFilter, ...] = ()
    blocked_hooks: dict[str, str] = field(default_factory=dict)
    other_interfaces: dict[str, str] = field(default_factory=dict)
    namespace: int = 0


@dataclass(frozen=True)
class FirstHop:
    """The kernel's route to an address, and the MTUs that it knows for it.

    `link_mtu` is the interface's; `route_mtu` is set on the route itself; `cached_mtu` was learned from a router (and
    expires in `cached_for` s): None where there is none. `gateway` is None for a host on the link. `mtu_probing` is
    net.ipv4.tcp_mtu_probing: 0 off, 1 once TCP gets stuck, 2 always.
    """

    interface: str
    source: str
    gateway: str | None
    link_mtu: int
    route_mtu: int | None = None
    cached_mtu: int | None = None
    cached_for: int | None = None
    is_local: bool = False
    mtu_probing: int = 0
