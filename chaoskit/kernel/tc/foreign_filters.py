"""Reads foreign qdiscs and filters of a link that interfere with a fault. Changes nothing.

A packet passes the filters of a hook by priority until one that matches gives a verdict; the only verdict that
continues is "continue", not "pipe" after the last action, and not "goto chain", which never returns
(net/sched/cls_api.c: __tcf_classify). Filters of other chains see only packets that a goto sends there.
Limit: programs that bpf(2) attaches before all filters (tcx, since 6.6) are not listed by tc.
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
from chaoskit.kernel.tc.filters import chain, dump
from chaoskit.topology.steering import PRIORITIES
from chaoskit.units import counted

_BLOCKS = {"ingress": 13, "egress": 14}  # linux/rtnetlink.h: TCA_INGRESS_BLOCK, TCA_EGRESS_BLOCK
_VERSIONS = {0x0003: frozenset({4, 6}), 0x0800: frozenset({4}), 0x86DD: frozenset({6})}  # linux/if_ether.h
# linux/pkt_cls.h, by classifier: its actions, its flags, and the attributes that match nothing
_ACTIONS = {"matchall": 2, "flower": 3, "u32": 7}
_FLAGS = {"matchall": 3, "flower": 22, "u32": 11}
_NEUTRAL = {"matchall": {1, 2, 3, 4, 5}, "flower": {1, 3, 8, 22, 86}, "u32": {1, 2, 5, 7, 9, 11, 12}}
_SKIP_SW, _U32_SELECTOR, _U32_HEADER = 2, 5, 16


def warnings(ip: IPRoute, link: Any) -> Iterator[str]:
    """Sentences about foreign qdiscs and programs that a fault works beside."""
    for qdisc in ip.get_qdiscs(index=link["index"]):
        if qdisc["parent"] == TC_H_ROOT and qdisc.get_attr("TCA_KIND") == "netem":
            yield "a foreign netem shapes it already, and its effects add to ours"
    program = link.get_attr("IFLA_XDP")
    if program is not None and program.get_attr("IFLA_XDP_ATTACHED"):
        yield "an XDP program sees received packets before our filters do, and the fault misses those that it takes"


def unusable_hooks(ip: IPRoute, link: Any) -> dict[str, str]:
    """For each hook that takes no chaoskit filters, the reason, and what to type."""
    name, found = link.get_attr("IFLA_IFNAME"), {}
    for qdisc in ip.get_qdiscs(index=link["index"]):
        kind = qdisc.get_attr("TCA_KIND")
        if kind == "ingress":
            filters = sum(1 for _ in dump(ip, link["index"], "ingress"))
            described = {0: "an empty ingress qdisc", 1: "an ingress qdisc with a filter"}.get(
                filters, f"an ingress qdisc with {counted(filters, 'filter')}"
            )
            reason = (
                f"{described} of another program has the place of the clsact that our filters need: "
                f"see tc filter show dev {name} ingress; if it may be removed: sudo tc qdisc del dev {name} ingress"
            )
            return dict.fromkeys(_BLOCKS, reason)
        if kind == "clsact":
            for hook, attribute in _BLOCKS.items():
                if block := unnamed(qdisc, attribute):
                    found[hook] = (
                        f"its {hook} filters are those of block {block}, which other interfaces may share, so no "
                        f"filter for {name} alone can be added: see tc filter show block {block}; "
                        f"if its clsact may be removed: sudo tc qdisc del dev {name} clsact"
                    )
    return found


def terminating_filters(ip: IPRoute, link: Any) -> Iterator[ForeignFilter]:
    """Foreign filters that may give a packet a final verdict, in order; those of one priority are combined."""
    for hook in _BLOCKS if _has_clsact(ip, link["index"]) else ():
        foreign = [each for each in dump(ip, link["index"], hook) if not chain(each) and not _is_own(each)]
        alone = Counter(map(_priority, foreign))
        found: dict[int, ForeignFilter] = {}
        for message in foreign:
            sees = _VERSIONS.get(ntohs(message["info"] & 0xFFFF), frozenset())
            if not sees or _always_continues(message):
                continue
            priority, kind = _priority(message), message.get_attr("TCA_KIND")
            is_certain = _takes_everything(message) and (alone[priority] == 1 or kind != "u32")
            takes = found[priority].takes if priority in found else frozenset()
            found[priority] = ForeignFilter(hook, kind, priority, sees, takes | sees if is_certain else takes)
        yield from sorted(found.values(), key=lambda each: each.priority)


def _has_clsact(ip: IPRoute, number: int) -> bool:
    return any(qdisc.get_attr("TCA_KIND") == "clsact" for qdisc in ip.get_qdiscs(index=number))


def _priority(message: Any) -> int:
    return int(message["info"] >> 16)


def _is_own(message: Any) -> bool:
    return _priority(message) in PRIORITIES


def _always_continues(message: Any) -> bool:
    """Whether every packet that matches certainly continues to the next filter."""
    options = _options(message)
    return options is not None and actions.continues(options.get(_ACTIONS[message.get_attr("TCA_KIND")], b"")) is True


def _takes_everything(message: Any) -> bool:
    """Whether no packet certainly gets past this filter."""
    kind, options = message.get_attr("TCA_KIND"), _options(message)
    if options is None or options.keys() - _NEUTRAL[kind] or _is_hardware_only(options.get(_FLAGS[kind], b"")):
        return False
    if actions.continues(options.get(_ACTIONS[kind], b"")) is not False:
        return False
    return kind != "u32" or not any(_masks(options.get(_U32_SELECTOR, b"")))


def _options(message: Any) -> dict[int, bytes] | None:
    """The options of a filter; None for a classifier that is not decoded."""
    options = message.get_attr("TCA_OPTIONS")
    return unpack(options) if message.get_attr("TCA_KIND") in _ACTIONS and isinstance(options, bytes) else None


def _is_hardware_only(flags: bytes) -> bool:
    return len(flags) == 4 and bool(struct.unpack("=I", flags)[0] & _SKIP_SW)


def _masks(selector: bytes) -> Iterator[bytes]:
    """The non-zero masks of the keys of a u32 filter (linux/pkt_cls.h: tc_u32_sel, tc_u32_key)."""
    if len(selector) < _U32_HEADER or not selector[0] & 1:  # not terminal: it links to a hash table
        yield b"?"
    for start in range(_U32_HEADER, len(selector), 16):
        if any(mask := selector[start : start + 4]):
            yield mask
