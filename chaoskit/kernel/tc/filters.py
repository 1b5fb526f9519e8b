"""Reads and writes filters in a link's clsact, beside foreign ones.

A filter is identified by its link, its hook and its priority, in chain 0. A filter at such a place that is not in
exactly our form, with one match and one action, is `Foreign` and is never written or removed. A clsact is removed only
when it has no filters left, in any chain.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from socket import htons, ntohs
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from chaoskit.counters import QueueCounters
from chaoskit.errors import RefusedError
from chaoskit.kernel.attributes import unnamed
from chaoskit.kernel.links import find, index, name
from chaoskit.kernel.tc import classifiers
from chaoskit.kernel.tc.actions import Action
from chaoskit.kernel.tc.classifiers import FAMILIES, Family
from chaoskit.knobs import Clsact, Filter, Foreign

_HOOKS = {"ingress": 0xFFFF_FFF2, "egress": 0xFFFF_FFF3}  # linux/pkt_sched.h: TC_H_CLSACT with either minor
_ETHERNET, _WITH_ETHERNET = 14, (1, 772)  # linux/if_arp.h: ARPHRD_ETHER, ARPHRD_LOOPBACK
_CHAIN = 11  # linux/rtnetlink.h: TCA_CHAIN
_U32_NODE = 0xFFF  # the bits of a u32 handle that are zero for hash tables, which are no filters


@dataclass(frozen=True)
class FilterId:
    """The identity of a filter: link, hook and priority."""

    link: str
    hook: str
    priority: int

    def __str__(self) -> str:
        return f"{self.link} {self.hook} {self.priority}"

    @classmethod
    def parse(cls, name: str) -> FilterId:
        """A filter knob's name. Raises RefusedError."""
        words = name.split(" ")
        if len(words) != 3 or words[1] not in _HOOKS or not words[2].isdecimal() or not 0 < int(words[2]) < 2**16:
            raise RefusedError(f"filter {name!r} is no filter name: give LINK, egress or ingress, and a priority")
        return cls(words[0], words[1], int(words[2]))


def read_clsact(ip: IPRoute, link: str) -> Clsact | Foreign | None:
    """Whether the link has a clsact; `Foreign` when an ingress qdisc has its place."""
    there = find(ip, link)
    if there is None:
        return None
    kinds = {qdisc.get_attr("TCA_KIND") for qdisc in ip.get_qdiscs(index=there["index"])}
    if "clsact" in kinds:
        return Clsact()
    return Foreign("ingress") if "ingress" in kinds else None


def write_clsact(ip: IPRoute, link: str, wanted: Clsact | None) -> None:
    """Create the clsact, or remove it when it is empty.

    Raises RefusedError where foreign filters or an ingress qdisc would have to be removed.
    """
    now = read_clsact(ip, link)
    if isinstance(now, Foreign):
        raise RefusedError(
            f"{link} has an ingress qdisc already; if it may be removed: tc qdisc del dev {link} ingress"
        )
    if now == wanted:
        return
    number = index(ip, link)
    if wanted is not None:
        ip.tc("add", "clsact", number)
        return
    if left := _count(ip, number):
        say = "a filter is" if left == 1 else f"{left} filters are"
        raise RefusedError(
            f"the clsact of {link} stays, because {say} attached to it; if it may be removed: "
            f"tc qdisc del dev {link} clsact"
        )
    ip.tc("del", "clsact", number)


def read_filter(ip: IPRoute, name: str) -> Filter | Foreign | None:
    """The filter of this link, hook and priority; None if there is none."""
    place = FilterId.parse(name)
    link = find(ip, place.link)
    return None if link is None else _decode(ip, _at(ip, link["index"], place), _header(link))


def write_filter(ip: IPRoute, name: str, wanted: Filter | None) -> None:
    """Add the filter, or remove it. A chaoskit filter with another setting is removed first.

    Raises RefusedError when a foreign filter is there.
    """
    place = FilterId.parse(name)
    link = ip.link("get", ifname=place.link)[0]
    number, header = link["index"], _header(link)
    there = _at(ip, number, place)
    now = _decode(ip, there, header)
    where = f"dev {place.link} {place.hook}"
    if isinstance(now, Foreign):
        raise RefusedError(
            f"{place.link} has a foreign {now.qdisc} with priority {place.priority} at its {place.hook}; "
            f"if it may be removed: tc filter del {where} prio {place.priority}"
        )
    if now == (classifiers.normalized(wanted) if wanted else None):
        return
    parent = _HOOKS[place.hook]
    if now is not None:
        ip.tc("del-filter", index=number, parent=parent, info=there[0]["info"])
    if wanted is not None:
        info = place.priority << 16 | htons(FAMILIES[wanted.family])
        target = None if wanted.redirect_to is None else index(ip, wanted.redirect_to)
        options = classifiers.encode(wanted, Action(target, wanted.over and wanted.over + header))
        ip.tc("add-filter", classifiers.kind(wanted.match), number, parent=parent, info=info, options=options)


def counters(ip: IPRoute, names: Iterable[str]) -> dict[str, QueueCounters]:
    """Counters of those chaoskit filters that exist. Each hook of a link is dumped once."""
    places = {FilterId.parse(name): name for name in names}
    found = {}
    for link, hook in dict.fromkeys((place.link, place.hook) for place in places):
        there = find(ip, link)
        for each in _filters(ip, there["index"], hook) if there else ():
            name = places.get(FilterId(link, hook, each["info"] >> 16))
            if name is not None:
                seen, taken, size = classifiers.counters(each.get_attr("TCA_KIND"), each.get_attr("TCA_OPTIONS"))
                found[name] = QueueCounters(max(0, seen - taken), size, taken, 0, 0, 0, 0)
    return found


def filters_of_link(ip: IPRoute, link: Any) -> Iterator[tuple[FilterId, Filter | Foreign]]:
    """All filters of a link (given by its netlink message), ours and foreign, with their identities."""
    name, number = link.get_attr("IFLA_IFNAME"), link["index"]
    for hook in _HOOKS:
        by_priority: dict[int, list[Any]] = {}
        for each in _filters(ip, number, hook):
            by_priority.setdefault(each["info"] >> 16, []).append(each)
        for priority, there in by_priority.items():
            setting = _decode(ip, there, _header(link))
            if setting is not None:
                yield FilterId(name, hook, priority), setting


def _at(ip: IPRoute, number: int, place: FilterId) -> list[Any]:
    """All filters at this place."""
    return list(_filters(ip, number, place.hook, place.priority))


def _filters(ip: IPRoute, number: int, hook: str, priority: int = 0) -> Iterator[Any]:
    """The filters of chain 0, where packets enter."""
    return (each for each in dump(ip, number, hook, priority) if not chain(each))


def chain(message: Any) -> int:
    """The chain of a filter; packets enter chain 0, and reach others by goto."""
    return unnamed(message, _CHAIN)


def dump(ip: IPRoute, number: int, hook: str, priority: int = 0) -> Iterator[Any]:
    """The filters of all chains, of all priorities or of one; chains and u32 hash tables in the dump are left out."""
    for each in ip.tc("get-filter", index=number, parent=_HOOKS[hook], info=priority << 16):
        is_table = each.get_attr("TCA_KIND") == "u32" and not each["handle"] & _U32_NODE
        if each.get_attr("TCA_OPTIONS") is not None and not is_table:
            yield each


def _count(ip: IPRoute, number: int) -> int:
    """How many filters a clsact has. The kernel shows a u32 filter at both hooks (net/sched/cls_u32.c: tc_u_common
    belongs to the qdisc) if both have a u32 filter of its priority."""
    found = set()
    for hook in _HOOKS:
        for each in dump(ip, number, hook):
            is_shown_twice = each.get_attr("TCA_KIND") == "u32"
            found.add((chain(each), each["info"], each["handle"], "" if is_shown_twice else hook))
    return len(found)


def _header(link: Any) -> int:
    """The length of the link header, which police counts; 0 on links without one, such as tun."""
    return _ETHERNET if link["ifi_type"] in _WITH_ETHERNET else 0


def _decode(ip: IPRoute, there: list[Any], header: int) -> Filter | Foreign | None:
    if not there:
        return None
    message = there[0]
    kind = message.get_attr("TCA_KIND")
    family = _family(message)
    if len(there) > 1 or family is None:
        return Foreign(f"{kind} filter")
    found = classifiers.decode(kind, family, message.get_attr("TCA_OPTIONS"))
    if found is None:
        return Foreign(f"{kind} filter")
    match, then = found
    to = None if then.target is None else _name(ip, then.target)
    return Filter(family, match, to, then.frame and then.frame - header)


def _family(message: Any) -> Family | None:
    protocol = ntohs(message["info"] & 0xFFFF)
    return next((family for family, number in FAMILIES.items() if number == protocol), None)


def _name(ip: IPRoute, number: int) -> str:
    """The link's name; "" for a deleted link."""
    try:
        return name(ip, number) if number else ""
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return ""
        raise
