"""Redirects selected traffic of a real interface through ifbs; its own qdisc is never touched.

```
 up    eth0 egress  --our filters--> chaos-up   (netem at its root) --> back to eth0, past the filters
 down  eth0 ingress --our filters--> chaos-down (netem at its root) --> back to eth0's receivers
```

Packets that no filter matches meet the same queues and rules as before. The ifbs and their netem exist before a
filter redirects anything to them, and the filters are removed first when the interface is restored, so that no packet
ever meets half of a setup. Filters and ifbs are recognised by their names and priorities, so that they can be found
and removed even without a journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Literal

from chaoskit.knobs import (
    Change,
    Clamp,
    Clsact,
    Filter,
    Flow,
    Ifb,
    Knob,
    Link,
    MatchAll,
    Netem,
    RandomLoss,
    U32Match,
)
from chaoskit.middlebox import TcpFlow
from chaoskit.topology.u32_keys import keys

OneDirection = Literal["up", "down"]
Family = Literal["ip", "ipv6"]
HOOKS: dict[OneDirection, Literal["egress", "ingress"]] = {"up": "egress", "down": "ingress"}
IFBS: dict[OneDirection, str] = {"up": "chaos-up", "down": "chaos-down"}
BLACKHOLE = "chaos-hole"
"""The ifb that drops everything, as a remote hop would: the local sender must not notice the drop."""
PRIORITY, MAX_FILTERS = 0xCA05, 251  # of our filters in each direction: 0xca05 to 0xcaff
_U32_DOWN = 0x100  # added: the kernel mixes the u32 filters of both directions when they share a priority
CLAMP = Knob("clamp", "", "mss")
SIZE_PRIORITY = 0xC805
"""The first priority of the size filters: they run before the others and pass on packets that are short enough."""
PRIORITIES = frozenset(
    first + offset + number
    for first in (SIZE_PRIORITY, PRIORITY)
    for offset in (0, _U32_DOWN)
    for number in range(MAX_FILTERS)
)
"""All priorities of chaoskit's filters."""
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
_ICMP6 = 58
_FULL_SHARE = 2**32 - 1  # 100 % as the kernel's u32 share
_FAMILIES: dict[int, Family] = {4: "ip", 6: "ipv6"}


@dataclass(frozen=True)
class Remote:
    """The remote end of traffic: a prefix ("10.0.0.2/32"; None: any address) and a port (None: any)."""

    prefix: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class TrafficSelector:
    """The traffic that a fault applies to. Empty `remotes` and nothing else select all traffic of the interface.

    `protocol` is "tcp", "udp", "icmp" or None for any; `versions` are the selected IP versions.
    """

    remotes: tuple[Remote, ...] = ()
    local_port: int | None = None
    protocol: str | None = None
    versions: frozenset[int] = frozenset({4, 6})

    @property
    def matches_all(self) -> bool:
        """Whether every packet is selected, ARP included."""
        return self == TrafficSelector()


def describe(selector: TrafficSelector) -> Iterator[str]:
    """One line for each remote end, with the other conditions: `tcp with 192.0.2.7/32 at port 443`."""
    versions = "" if len(selector.versions) == 2 else f"IPv{min(selector.versions)} "
    local_port = f", at our port {selector.local_port}" if selector.local_port is not None else ""
    for remote in selector.remotes or (Remote(),):
        port = f" at port {remote.port}" if remote.port is not None else ""
        yield f"{versions}{selector.protocol or 'everything'} with {remote.prefix or 'any host'}{port}{local_port}"


def filter_direction(knob: Knob) -> OneDirection:
    """The direction of a filter of a real interface."""
    _, hook, _ = knob.name.split(" ")
    return next(direction for direction, each in HOOKS.items() if each == hook)


def qdisc(direction: OneDirection) -> Knob:
    """Where the netem of this direction goes."""
    return Knob("qdisc", "", IFBS[direction])


def steer(
    interface: str, selector: TrafficSelector, netems: dict[OneDirection, Netem | None], classifier: str
) -> tuple[Change, ...]:
    """All knobs in the order of setting, for the directions in `netems` (None: no netem yet).

    `classifier` is "flower" or "u32"; see `topology.u32_keys` for what u32 cannot express.
    """
    changes: list[Change] = []
    for direction, netem in netems.items():
        changes.append((Knob("ifb", "", IFBS[direction]), Ifb()))
        if netem is not None:
            changes.append((qdisc(direction), netem))
        changes.append((Knob("link", "", IFBS[direction]), Link(up=True, mtu=1500, gso_max_segs=65535)))
    changes.append((Knob("clsact", "", interface), Clsact()))
    for direction in netems:
        for priority, filter_ in _numbered(selector, direction, classifier, PRIORITY):
            changes.append((Knob("filter", "", f"{interface} {HOOKS[direction]} {priority}"), filter_))
    return tuple(changes)


def blackhole() -> tuple[Change, ...]:
    """The ifb that drops oversized packets; to be set before any filter of `drop_oversized`."""
    return (
        (Knob("ifb", "", BLACKHOLE), Ifb()),
        (Knob("qdisc", "", BLACKHOLE), Netem(loss=RandomLoss(_FULL_SHARE))),
        (Knob("link", "", BLACKHOLE), Link(up=True, mtu=1500, gso_max_segs=65535)),
    )


def drop_oversized(
    interface: str, selector: TrafficSelector, directions: Iterable[OneDirection], size: int, classifier: str
) -> tuple[Change, ...]:
    """The filters that drop packets longer than `size` bytes, at priorities before those of `steer`.

    Sent packets are redirected to the `blackhole` ifb, because TCP notices a drop on its own egress at once
    (net/ipv4/tcp_output.c: tcp_enter_cwr after a local drop); received packets are dropped in place.
    """
    return tuple(
        (
            Knob("filter", "", f"{interface} {HOOKS[direction]} {priority}"),
            replace(filter_, redirect_to=BLACKHOLE if direction == "up" else None, over=size),
        )
        for direction in directions
        for priority, filter_ in _numbered(selector, direction, classifier, SIZE_PRIORITY)
    )


def clamp(interface: str, selector: TrafficSelector, mss: int) -> tuple[Change, ...]:
    """The clamp that limits the MSS option of the selected handshakes, in both directions, to `mss` bytes.

    The selector must include TCP: see `has_tcp`.
    """
    return (
        (CLAMP, Clamp(mss, tuple(each for direction in HOOKS for each in tcp_flows(interface, selector, direction)))),
    )


def tcp_flows(interface: str, selector: TrafficSelector, direction: OneDirection) -> tuple[TcpFlow, ...]:
    """The selected TCP packets of one direction. The selector must include TCP: see `has_tcp`."""
    found = (
        TcpFlow(
            interface,
            HOOKS[direction],
            family,
            _match_prefix(flow.source),
            _match_prefix(flow.destination),
            flow.source_port,
            flow.destination_port,
        )
        for family, flow in flows(replace(selector, protocol="tcp"), direction)
        if not flow.is_fragment
    )
    return tuple(dict.fromkeys(found))


def has_tcp(selector: TrafficSelector) -> bool:
    """Whether the selected traffic includes TCP."""
    return selector.protocol in (None, "tcp")


def _match_prefix(prefix: str | None) -> str | None:
    """The prefix that an address is compared with; None matches all addresses."""
    return prefix if prefix and ip_network(prefix).prefixlen else None


def count_filters(selector: TrafficSelector, classifier: str) -> int:
    """How many filters each direction needs; at most `MAX_FILTERS` fit."""
    return sum(1 for _ in _filters(selector, "up", classifier))


def needs(selector: TrafficSelector, classifier: str) -> frozenset[str]:
    """The kernel features that the selector needs."""
    return frozenset({"netem", "ifb", "clsact", "matchall" if selector.matches_all else classifier})


def _numbered(
    selector: TrafficSelector, direction: OneDirection, classifier: str, first: int
) -> Iterator[tuple[int, Filter]]:
    for priority, filter_ in enumerate(_filters(selector, direction, classifier), first):
        yield priority + (_U32_DOWN if direction == "down" and isinstance(filter_.match, U32Match) else 0), filter_


def _filters(selector: TrafficSelector, direction: OneDirection, classifier: str) -> Iterator[Filter]:
    to = IFBS[direction]
    if selector.matches_all:
        yield Filter("all", MatchAll(), to)
        return
    for family, flow in flows(selector, direction):
        if classifier == "flower":
            yield Filter(family, flow, to)
        else:
            for each in keys(family, flow):
                yield Filter(family, U32Match(each), to)


def flows(selector: TrafficSelector, direction: OneDirection) -> Iterator[tuple[Family, Flow]]:
    """The flows of one direction, without duplicates."""
    seen: set[tuple[Family, Flow]] = set()
    for remote in selector.remotes or (Remote(),):
        for version in sorted(selector.versions if remote.prefix is None else {ip_network(remote.prefix).version}):
            for flow in _remote_flows(remote, selector, direction, version):
                if (_FAMILIES[version], flow) not in seen:
                    seen.add((_FAMILIES[version], flow))
                    yield _FAMILIES[version], flow


def _remote_flows(remote: Remote, selector: TrafficSelector, direction: OneDirection, version: int) -> Iterator[Flow]:
    """One flow per protocol; with ports one more for the fragments, which carry no ports."""
    has_ports = remote.port is not None or selector.local_port is not None
    for protocol in _protocols(selector.protocol, has_ports, version):
        source, destination = (None, remote.prefix) if direction == "up" else (remote.prefix, None)
        if has_ports:
            source_port, destination_port = remote.port, selector.local_port
            if direction == "up":
                source_port, destination_port = destination_port, source_port
            yield Flow(protocol, source, destination, source_port, destination_port)
        yield Flow(protocol, source, destination, is_fragment=True if has_ports else None)


def _protocols(asked: str | None, has_ports: bool, version: int) -> tuple[int | None, ...]:
    if asked is None:
        return (PROTOCOLS["tcp"], PROTOCOLS["udp"]) if has_ports else (None,)
    return (_ICMP6 if asked == "icmp" and version == 6 else PROTOCOLS[asked],)
