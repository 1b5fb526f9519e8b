"""Writes changes as equivalent `ip`, `tc`, `nft` and `sysctl` commands, to read or to repeat by hand.

Rules: the commands leave the kernel in the same state as the changes, and those of `revert_commands` in the state
before; what the tools cannot express is a line that starts with #. They are printed, never executed: restoring does
not use them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from chaoskit.engine.describe import route_arguments
from chaoskit.knobs import (
    Address,
    Change,
    Clamp,
    Clsact,
    Filter,
    Ifb,
    Knob,
    Link,
    Masquerade,
    Mtu,
    Namespace,
    Neighbour,
    Netem,
    Route,
    Rule,
    Setting,
    Sysctl,
    U32Match,
    Veth,
)
from chaoskit.middlebox import Cut, IdleTimeout
from chaoskit.report.nft_commands import clamp_arguments, connection_arguments
from chaoskit.report.tc_commands import action_arguments, match_arguments, netem_arguments
from chaoskit.topology.connection_rules import table_name

_NO_SETTINGS: Mapping[Knob, Setting] = MappingProxyType({})
_HANDLE = "ca05:"


def apply_commands(changes: Iterable[Change], before: Mapping[Knob, Setting] = _NO_SETTINGS) -> list[str]:
    """A line for each step. `before` has the former settings by knob; a knob that is missing did not exist."""
    now = dict(before)
    lines: list[str] = []
    for knob, setting in changes:
        lines += _step(knob, setting, now.get(knob))
        now[knob] = setting
    return lines


def revert_commands(changes: Sequence[Change], before: Mapping[Knob, Setting] = _NO_SETTINGS) -> list[str]:
    """A line for each step back, the last one first. What disappears with its link or namespace has no line."""
    now = dict(changes)
    created_here = {knob for knob in now if knob.kind in ("ifb", "veth", "namespace") and before.get(knob) is None}
    lines: list[str] = []
    for knob in reversed(now):
        if not _disappears_with(knob, created_here):
            lines += _step(knob, before.get(knob), now[knob])
    return lines


def _disappears_with(knob: Knob, created_here: set[Knob]) -> bool:
    """Whether the knob belongs to a link or namespace that was made, and disappears with it."""
    if knob.place and Knob("namespace", "", knob.place) in created_here:
        return True
    link = knob.name.split(" ")[0]
    created = {Knob(kind, knob.place, link) for kind in ("ifb", "veth")} - {knob}
    return knob.kind != "sysctl" and bool(created & created_here)


def _step(knob: Knob, wanted: Setting, now: Setting) -> Iterator[str]:
    if wanted == now:
        yield f"# {knob} is already set"
        return
    match wanted:
        case Netem():
            yield from _netem(knob, wanted, now)
        case None:
            yield from map(_line, _delete_commands(knob, now))
        case _:
            yield from map(_line, _create_commands(knob, wanted))
    if isinstance(wanted, Filter) and wanted.match == U32Match(()):
        yield "# tc's u32 needs a key; this one matches everything"
    if isinstance(wanted, Masquerade | Clamp):
        yield "# chaoskit's own table belongs to its process, and is deleted when that ends"
    if isinstance(wanted, Namespace):
        yield "# chaoskit's own namespaces have no name, and are deleted when it ends"


def _netem(knob: Knob, wanted: Netem, now: Setting) -> Iterator[str]:
    tc, root = _tool("tc", knob), ("dev", knob.name, "root")
    if now is not None:  # `tc qdisc change` keeps the parameters that it does not name
        yield _line((*tc, "qdisc", "del", *root))
    arguments, remarks = netem_arguments(wanted)
    yield from (f"# {remark}" for remark in remarks)
    yield _line((*tc, "qdisc", "add", *root, "handle", _HANDLE, "netem", *arguments))


def _create_commands(knob: Knob, wanted: Setting) -> Iterator[tuple[str, ...]]:
    ip, tc = _tool("ip", knob), _tool("tc", knob)
    link, _, rest = knob.name.partition(" ")
    match wanted:
        case Namespace():
            yield ("ip", "netns", "add", knob.name)
        case Veth(peer_place, peer, mac, peer_mac):
            there = ("netns", peer_place) if peer_place else ()
            ends = ("address", mac, "type", "veth", "peer", "name", peer, "address", peer_mac, *there)
            yield (*ip, "link", "add", link, *ends)
        case Ifb():
            yield (*ip, "link", "add", link, "type", "ifb")
        case Link(up, mtu, segments):
            sizes = ("mtu", str(mtu), "gso_max_segs", str(segments))
            yield (*ip, "link", "set", "dev", link, *sizes, "up" if up else "down")
        case Address():
            yield (*ip, "address", "add", rest, "dev", link)
        case Route():
            route = (*_tool("ip", knob, knob.name), "route", "replace", *knob.name.split(" "), "proto", "static")
            yield (*route, *route_arguments(wanted))
        case Rule(table):
            yield (*_tool("ip", knob, knob.name), "rule", "add", *knob.name.split(" "), "table", str(table))
        case Neighbour(mac):
            yield (*ip, "neighbour", "replace", rest, "lladdr", mac, "dev", link, "nud", "permanent")
        case Sysctl(value):
            yield (*_netns_exec(knob), "sysctl", "-q", "-w", f"{knob.name}={value}")
        case Masquerade():
            nft, owned = _nft(knob)
            yield (*nft, "add", "table", *owned)
            yield (*nft, "add", "chain", *owned, "out", "{ type nat hook postrouting priority 100 ; }")
            yield (*nft, "add", "rule", *owned, "out", "ip", "saddr", link, "masquerade")
        case Clsact():
            yield (*tc, "qdisc", "add", "dev", link, "clsact")
        case Filter(family, match):
            yield (*_filter(knob, "add", family), *match_arguments(match), *action_arguments(wanted))
        case Mtu(size):
            yield (*ip, "link", "set", "dev", link, "mtu", str(size))
        case Clamp():
            nft, (_, name) = _nft(knob)
            for line in clamp_arguments(wanted, ("inet", name)):
                yield (*nft, "add", *line)
        case Cut() | IdleTimeout():
            for line in connection_arguments(wanted, ("inet", table_name(knob))):
                yield (*_nft(knob)[0], "add", *line)


def _delete_commands(knob: Knob, now: Setting) -> Iterator[tuple[str, ...]]:
    ip, tc = _tool("ip", knob), _tool("tc", knob)
    link, _, rest = knob.name.partition(" ")
    match now:
        case Namespace():
            yield ("ip", "netns", "del", knob.name)
        case Veth() | Ifb():
            yield (*ip, "link", "del", link)
        case Address():
            yield (*ip, "address", "del", rest, "dev", link)
        case Route():
            yield (*_tool("ip", knob, knob.name), "route", "del", *knob.name.split(" "))
        case Rule(table):
            yield (*_tool("ip", knob, knob.name), "rule", "del", *knob.name.split(" "), "table", str(table))
        case Neighbour():
            yield (*ip, "neighbour", "del", rest, "dev", link)
        case Netem():
            yield (*tc, "qdisc", "del", "dev", link, "root")
        case Masquerade():
            nft, owned = _nft(knob)
            yield (*nft, "delete", "table", *owned)
        case Clamp():
            nft, (_, name) = _nft(knob)
            yield (*nft, "delete", "table", "inet", name)
        case Cut() | IdleTimeout():
            yield (*_nft(knob)[0], "delete", "table", "inet", table_name(knob))
        case Clsact():
            yield (*tc, "qdisc", "del", "dev", link, "clsact")
        case Filter(family):
            yield _filter(knob, "del", family)


def _filter(knob: Knob, verb: str, family: str) -> tuple[str, ...]:
    link, hook, priority = knob.name.split(" ")
    return (*_tool("tc", knob), "filter", verb, "dev", link, hook, "protocol", family, "pref", priority)


def _nft(knob: Knob) -> tuple[tuple[str, ...], tuple[str, str]]:
    return (*_netns_exec(knob), "nft"), ("ip", f"chaoskit-{knob.name.split(' ')[0]}")


def _netns_exec(knob: Knob) -> tuple[str, ...]:
    """The prefix for tools without an option for namespaces."""
    return ("ip", "netns", "exec", knob.place) if knob.place else ()


def _tool(name: str, knob: Knob, prefix: str = "") -> tuple[str, ...]:
    place = ("-n", knob.place) if knob.place else ()
    return (name, *place, *(("-6",) if ":" in prefix else ()))


def _line(argv: Iterable[str]) -> str:
    return shlex.join(argv)
