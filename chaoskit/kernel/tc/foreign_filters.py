"""What others have hung on a link, as a fault of ours would meet it. Changes nothing.

A packet goes through the filters of a hook by their priorities until one that matches it gives a verdict; the only
verdict that lets it go on is "continue", not "pipe" after the last action, and not "goto chain", from which nothing
comes back (net/sched/cls_api.c: __tcf_classify). Filters of other chains see what is sent there alone.
Honest limit: programs that bpf(2) attaches before all filters (tcx, since 6.6) show in no list of tc.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from socket import ntohs
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import TC_H_ROOT

from chaoskit.host_lookups import ForeignFilter
from chaoskit.kernel.attributes import unnamed, unpack
from chaoskit.kernel.tc import actions
from chaoskit.kernel.tc.filters import all_of, chain
from chaoskit.topology.steering import PRIORITIES

_BLOCKS = {"ingress": 13, "egress": 14}  # linux/rtnetlink.h: TCA_INGRESS_BLOCK, TCA_EGRESS_BLOCK
_VERSIONS = {0x0003: frozenset({4, 6}), 0x0800: frozenset({4}), 0x86DD: frozenset({6})}  # linux/if_ether.h
# linux/pkt_cls.h, for each classifier: its actions, its flags, and what says nothing about packets
_ACTIONS = {"matchall": 2, "flower": 3, "u32": 7}
_FLAGS = {"matchall": 3, "flower": 22, "u32": 11}
_WORDLESS = {"matchall": {1, 2, 3, 4, 5}, "flower": {1, 3, 8, 22, 86}, "u32": {1, 2, 5, 7, 9, 11, 12}}
_SKIP_SW, _U32_SELECTOR, _U32_HEADER = 2, 5, 16


def beside(ip: IPRoute, link: Any) -> Iterator[str]:
    """Sentences about what a fault will work beside, filters apart."""
    for qdisc in ip.get_qdiscs(index=link["index"]):
        if qdisc["parent"] == TC_H_ROOT and qdisc.get_attr("TCA_KIND") == "netem":
            yield "a netem of somebody else shapes it already, and what it does is added to ours"
    program = link.get_attr("IFLA_XDP")
    if program is not None and program.get_attr("IFLA_XDP_ATTACHED"):
        yield "an XDP program sees what it receives before our filters do, and what it takes the fault misses"


def shut(ip: IPRoute, link: Any) -> dict[str, str]:
    """For each hook at which no filter of ours can hang, why, and what to type."""
    name, found = link.get_attr("IFLA_IFNAME"), {}
    for qdisc in ip.get_qdiscs(index=link["index"]):
        kind = qdisc.get_attr("TCA_KIND")
        if kind == "ingress":
            held = sum(1 for _ in all_of(ip, link["index"], "ingress"))
            theirs = {0: "an empty ingress qdisc", 1: "an ingress qdisc with a filter"}.get(
                held, f"an ingress qdisc with {held} filters"
            )
            say = (
                f"{theirs} of somebody else has the place of the clsact that our filters hang in: "
                f"see tc filter show dev {name} ingress; if all of that may go: sudo tc qdisc del dev {name} ingress"
            )
            return dict.fromkeys(_BLOCKS, say)
        if kind == "clsact":
            for hook, attribute in _BLOCKS.items():
                if block := unnamed(qdisc, attribute):
                    found[hook] = (
                        f"its {hook} filters are those of block {block}, which other interfaces may share, and one for "
                        f"{name} alone cannot hang there: see tc filter show block {block}; "
                        f"if all of its clsact may go: sudo tc qdisc del dev {name} clsact"
                    )
    return found


def hung(ip: IPRoute, link: Any) -> Iterator[ForeignFilter]:
    """Everybody else's filters that may end a packet's way, in their order, of one priority together."""
    for hook in _BLOCKS if _has_clsact(ip, link["index"]) else ():
        there = [each for each in all_of(ip, link["index"], hook) if not chain(each) and not _is_ours(each)]
        alone = Counter(map(_priority, there))
        found: dict[int, ForeignFilter] = {}
        for message in there:
            sees = _VERSIONS.get(ntohs(message["info"] & 0xFFFF), frozenset())
            if not sees or _lets_on(message):
                continue
            priority, kind = _priority(message), message.get_attr("TCA_KIND")
            is_certain = _takes_all(message) and (alone[priority] == 1 or kind != "u32")
            takes = found[priority].takes if priority in found else frozenset()
            found[priority] = ForeignFilter(hook, kind, priority, sees, takes | sees if is_certain else takes)
        yield from sorted(found.values(), key=lambda each: each.priority)


def _has_clsact(ip: IPRoute, number: int) -> bool:
    return any(qdisc.get_attr("TCA_KIND") == "clsact" for qdisc in ip.get_qdiscs(index=number))


def _priority(message: Any) -> int:
    return int(message["info"] >> 16)


def _is_ours(message: Any) -> bool:
    return _priority(message) in PRIORITIES


def _lets_on(message: Any) -> bool:
    """Whether whatever matches it certainly goes on to the next filter."""
    said = _said(message)
    return said is not None and actions.goes_on(said.get(_ACTIONS[message.get_attr("TCA_KIND")], b"")) is True


def _takes_all(message: Any) -> bool:
    """Whether nothing that it is shown gets past it, for certain."""
    kind, said = message.get_attr("TCA_KIND"), _said(message)
    if said is None or said.keys() - _WORDLESS[kind] or _is_for_a_card(said.get(_FLAGS[kind], b"")):
        return False
    if actions.goes_on(said.get(_ACTIONS[kind], b"")) is not False:
        return False
    return kind != "u32" or not any(_masks(said.get(_U32_SELECTOR, b"")))


def _said(message: Any) -> dict[int, bytes] | None:
    """The options of a filter of a kind that we read."""
    options = message.get_attr("TCA_OPTIONS")
    return unpack(options) if message.get_attr("TCA_KIND") in _ACTIONS and isinstance(options, bytes) else None


def _is_for_a_card(flags: bytes) -> bool:
    return len(flags) == 4 and bool(struct.unpack("=I", flags)[0] & _SKIP_SW)


def _masks(selector: bytes) -> Iterator[bytes]:
    """The keys of a u32 filter that look at anything, by their masks (linux/pkt_cls.h: tc_u32_sel, tc_u32_key)."""
    if len(selector) < _U32_HEADER or not selector[0] & 1:  # no terminal: it leads on into a table
        yield b"?"
    for start in range(_U32_HEADER, len(selector), 16):
        if any(mask := selector[start : start + 4]):
            yield mask
