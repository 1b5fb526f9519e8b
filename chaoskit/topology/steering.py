"""Some of a real interface's traffic goes through private ifbs; its own queueing discipline is never touched.

```
 up    eth0 egress  --our filters--> chaos-up   (netem at its root) --> back to eth0, past the filters
 down  eth0 ingress --our filters--> chaos-down (netem at its root) --> back to eth0's receivers
```

What the filters let pass has no queue more and no rule less than before. The ifbs stand with their netem
before a filter sends anything to them, and the filters go first when all is put back, so that no packet ever
meets half of it. Filters and ifbs are recognised by their names and priorities, so that they can be found and
taken away even when nobody remembers having made them.
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
    Handshakes,
    Ifb,
    Knob,
    Link,
    MatchAll,
    Netem,
    RandomLoss,
    U32Match,
)
from chaoskit.topology.u32_keys import keys

OneDirection = Literal["up", "down"]
Family = Literal["ip", "ipv6"]
WAYS: dict[OneDirection, Literal["egress", "ingress"]] = {"up": "egress", "down": "ingress"}
IFBS: dict[OneDirection, str] = {"up": "chaos-up", "down": "chaos-down"}
HOLE = "chaos-hole"
"""The ifb behind which everything is lost, as if far away: a sender is not to notice a loss of its own."""
PRIORITY, MOST = 0xCA05, 251  # of our filters in each direction: 0xca05 to 0xcaff
_U32_DOWN = 0x100  # more: the kernel mixes the u32 filters of both directions when they have one priority
CLAMP = Knob("clamp", "", "mss")
CUT = 0xC805
"""Of those that come before: they look at sizes, and let what is short enough go on to the others."""
PRIORITIES = frozenset(
    first + apart + more for first in (CUT, PRIORITY) for apart in (0, _U32_DOWN) for more in range(MOST)
)
"""All of ours."""
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
_ICMP6 = 58
_ALL = 2**32 - 1  # of the kernel's shares
_FAMILIES: dict[int, Family] = {4: "ip", 6: "ipv6"}


@dataclass(frozen=True)
class Remote:
    """The far end of traffic: a prefix ("10.0.0.2/32"; None: anybody) and a port (None: any)."""

    prefix: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class Aim:
    """The traffic that a fault is for. Empty `remotes` with nothing else mean all of the interface.

    `protocol` is "tcp", "udp", "icmp" or None for any; `versions` are the IP versions meant.
    """

    remotes: tuple[Remote, ...] = ()
    local_port: int | None = None
    protocol: str | None = None
    versions: frozenset[int] = frozenset({4, 6})

    @property
    def is_everything(self) -> bool:
        """Whether every packet is meant, whatever is in it: ARP too."""
        return self == Aim()


def in_words(aim: Aim) -> Iterator[str]:
    """The far ends, each with what else must be true: `tcp with 192.0.2.7/32 at port 443`."""
    versions = "" if len(aim.versions) == 2 else f"IPv{min(aim.versions)} "
    here = f", at our port {aim.local_port}" if aim.local_port is not None else ""
    for remote in aim.remotes or (Remote(),):
        port = f" at port {remote.port}" if remote.port is not None else ""
        yield f"{versions}{aim.protocol or 'everything'} with {remote.prefix or 'anybody'}{port}{here}"


def qdisc(way: OneDirection) -> Knob:
    """Where the netem of this direction goes."""
    return Knob("qdisc", "", IFBS[way])


def steer(interface: str, aim: Aim, netems: dict[OneDirection, Netem | None], classifier: str) -> tuple[Change, ...]:
    """Every knob in the order of setting, for the directions in `netems` (None: no netem for now).

    `classifier` is "flower" or "u32"; see `topology.keys` for what u32 cannot say.
    """
    changes: list[Change] = []
    for way, netem in netems.items():
        changes.append((Knob("ifb", "", IFBS[way]), Ifb()))
        if netem is not None:
            changes.append((qdisc(way), netem))
        changes.append((Knob("link", "", IFBS[way]), Link(up=True, mtu=1500, gso_max_segs=65535)))
    changes.append((Knob("clsact", "", interface), Clsact()))
    for way in netems:
        for priority, told in _numbered(aim, way, classifier, PRIORITY):
            changes.append((Knob("filter", "", f"{interface} {WAYS[way]} {priority}"), told))
    return tuple(changes)


def hole() -> tuple[Change, ...]:
    """The ifb that what is too long is sent to; to be set before a filter of `cut` sends anything."""
    return (
        (Knob("ifb", "", HOLE), Ifb()),
        (Knob("qdisc", "", HOLE), Netem(loss=RandomLoss(_ALL))),
        (Knob("link", "", HOLE), Link(up=True, mtu=1500, gso_max_segs=65535)),
    )


def cut(interface: str, aim: Aim, ways: Iterable[OneDirection], size: int, classifier: str) -> tuple[Change, ...]:
    """The filters that lose what is longer than `size` bytes, before those of `steer`.

    What we send is lost behind `hole`, for TCP would notice a loss at once that happens on its own way out
    (net/ipv4/tcp_output.c: tcp_enter_cwr after a local drop); what we receive is lost on the spot.
    """
    return tuple(
        (
            Knob("filter", "", f"{interface} {WAYS[way]} {priority}"),
            replace(told, redirect_to=HOLE if way == "up" else None, over=size),
        )
        for way in ways
        for priority, told in _numbered(aim, way, classifier, CUT)
    )


def clamp(interface: str, aim: Aim, mss: int) -> tuple[Change, ...]:
    """The handshakes of the aim that pass the interface, in both directions, ask for segments of `mss` bytes at most.

    For an aim that TCP is in: see `has_handshakes`.
    """
    whose = (
        Handshakes(
            interface, WAYS[way], family, replace(flow, source=_net(flow.source), destination=_net(flow.destination))
        )
        for way in WAYS
        for family, flow in flows(replace(aim, protocol="tcp"), way)
        if not flow.is_fragment
    )
    return ((CLAMP, Clamp(mss, tuple(dict.fromkeys(whose)))),)


def has_handshakes(aim: Aim) -> bool:
    """Whether any of it is TCP's."""
    return aim.protocol in (None, "tcp")


def _net(prefix: str | None) -> str | None:
    """What an address is compared with; None for all of them."""
    return prefix if prefix and ip_network(prefix).prefixlen else None


def count(aim: Aim, classifier: str) -> int:
    """How many filters each direction takes; there is room for `MOST`."""
    return sum(1 for _ in _filters(aim, "up", classifier))


def needs(aim: Aim, classifier: str) -> frozenset[str]:
    """The features that this asks of a kernel."""
    return frozenset({"netem", "ifb", "clsact", "matchall" if aim.is_everything else classifier})


def _numbered(aim: Aim, way: OneDirection, classifier: str, first: int) -> Iterator[tuple[int, Filter]]:
    for priority, told in enumerate(_filters(aim, way, classifier), first):
        yield priority + (_U32_DOWN if way == "down" and isinstance(told.match, U32Match) else 0), told


def _filters(aim: Aim, way: OneDirection, classifier: str) -> Iterator[Filter]:
    to = IFBS[way]
    if aim.is_everything:
        yield Filter("all", MatchAll(), to)
        return
    for family, flow in flows(aim, way):
        if classifier == "flower":
            yield Filter(family, flow, to)
        else:
            for each in keys(family, flow):
                yield Filter(family, U32Match(each), to)


def flows(aim: Aim, way: OneDirection) -> Iterator[tuple[Family, Flow]]:
    """The traffic of one direction, each flow once."""
    seen: set[tuple[Family, Flow]] = set()
    for remote in aim.remotes or (Remote(),):
        for version in sorted(aim.versions if remote.prefix is None else {ip_network(remote.prefix).version}):
            for flow in _of_remote(remote, aim, way, version):
                if (_FAMILIES[version], flow) not in seen:
                    seen.add((_FAMILIES[version], flow))
                    yield _FAMILIES[version], flow


def _of_remote(remote: Remote, aim: Aim, way: OneDirection, version: int) -> Iterator[Flow]:
    """For each protocol one flow, and with ports one more for the fragments, which show none."""
    has_ports = remote.port is not None or aim.local_port is not None
    for protocol in _protocols(aim.protocol, has_ports, version):
        source, destination = (None, remote.prefix) if way == "up" else (remote.prefix, None)
        if has_ports:
            source_port, destination_port = remote.port, aim.local_port
            if way == "up":
                source_port, destination_port = destination_port, source_port
            yield Flow(protocol, source, destination, source_port, destination_port)
        yield Flow(protocol, source, destination, is_fragment=True if has_ports else None)


def _protocols(asked: str | None, has_ports: bool, version: int) -> tuple[int | None, ...]:
    if asked is None:
        return (PROTOCOLS["tcp"], PROTOCOLS["udp"]) if has_ports else (None,)
    return (_ICMP6 if asked == "icmp" and version == 6 else PROTOCOLS[asked],)
