"""What was looked up before anything is done: the interface, the addresses behind names, the way to one of them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hung:
    """A filter that somebody else has hung there, which may keep packets from those that come after it.

    `hook` is "ingress" or "egress", `kind` the classifier ("matchall", "bpf"). `sees` are the IP versions of which it
    is shown packets, and `takes` those of which not one gets past it.
    """

    hook: str
    kind: str
    priority: int
    sees: frozenset[int]
    takes: frozenset[int] = frozenset()


@dataclass(frozen=True)
class HostLookups:
    """A real interface, as it was when somebody looked.

    `addresses` are those of each host name that was asked for, IPv4 and IPv6, in canonical form.
    `ways_in` are sentences, each about a way that this interface is needed for: "carries the default route
    (via 10.0.0.1)", "carries your ssh session (from 10.0.0.9)". `foreign` are sentences about what others have
    hung there that a fault will work beside; `filters` are theirs that may end a packet's way, and `shut` says of
    each hook where no filter of ours can hang why, and what to type. `apart` names, for each host that was asked for
    and that the kernel sends to by another interface, that one. `ssh_peers` are the addresses that ssh sessions come
    from.
    """

    interface: str
    mtu: int = 1500
    least_mtu: int = 68
    most_mtu: int = 65_535
    is_up: bool = True
    is_loopback: bool = False
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ways_in: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    filters: tuple[Hung, ...] = ()
    shut: dict[str, str] = field(default_factory=dict)
    apart: dict[str, str] = field(default_factory=dict)
    ssh_peers: tuple[str, ...] = ()


@dataclass(frozen=True)
class FirstHop:
    """How this machine's kernel would send to an address, and how large a packet it thinks may be.

    `link_mtu` is the interface's; `route_mtu` what the route itself was given, `cached_mtu` what a router has told
    lately (`cached_for` s still): None where there is none. `gateway` is None on the link itself. `mtu_probing` is
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
