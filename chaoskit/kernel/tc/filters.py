"""Filters of ours beside those of others, in a link's clsact. Each function acts in the namespace of `ip`.

A filter is identified by its link, its direction and its priority, in the chain that packets come to (0). What is
there under one of these names but is not exactly what we would have made, one match and one way out, is `Foreign` and
never written or removed. A clsact goes when nothing hangs in it any more; as long as anybody's filter does, in
whatever chain, it stays.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from socket import htons, ntohs
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from chaoskit.errors import RefusedError
from chaoskit.kernel.attributes import unnamed
from chaoskit.kernel.links import find, index, name
from chaoskit.kernel.tc import classifiers
from chaoskit.kernel.tc.actions import Action
from chaoskit.kernel.tc.classifiers import FAMILIES, Family
from chaoskit.knobs import Clsact, Filter, Foreign, QueueCounters

_HOOKS = {"ingress": 0xFFFF_FFF2, "egress": 0xFFFF_FFF3}  # linux/pkt_sched.h: TC_H_CLSACT with either minor
_ETHERNET, _WITH_ETHERNET = 14, (1, 772)  # linux/if_arp.h: ARPHRD_ETHER, ARPHRD_LOOPBACK
_CHAIN = 11  # linux/rtnetlink.h: TCA_CHAIN
_U32_NODE = 0xFFF  # the bits of a u32 handle that are zero in a hash table's, which is no filter


@dataclass(frozen=True)
class Place:
    """Where a filter hangs."""

    link: str
    hook: str
    priority: int

    def __str__(self) -> str:
        return f"{self.link} {self.hook} {self.priority}"

    @classmethod
    def parse(cls, name: str) -> Place:
        """A filter knob's name. Raises RefusedError."""
        words = name.split(" ")
        if len(words) != 3 or words[1] not in _HOOKS or not words[2].isdecimal() or not 0 < int(words[2]) < 2**16:
            raise RefusedError(f"filter {name!r} names no filter: say LINK egress or ingress, and a priority")
        return cls(words[0], words[1], int(words[2]))


def read_clsact(ip: IPRoute, link: str) -> Clsact | Foreign | None:
    """Whether filters can hang there; a plain ingress qdisc sits where a clsact would."""
    there = find(ip, link)
    if there is None:
        return None
    kinds = {qdisc.get_attr("TCA_KIND") for qdisc in ip.get_qdiscs(index=there["index"])}
    if "clsact" in kinds:
        return Clsact()
    return Foreign("ingress") if "ingress" in kinds else None


def write_clsact(ip: IPRoute, link: str, wanted: Clsact | None) -> None:
    """Make it, or take it away when it is empty.

    Raises RefusedError where somebody's filters would have to go, or an ingress qdisc.
    """
    now = read_clsact(ip, link)
    if isinstance(now, Foreign):
        raise RefusedError(f"{link} has an ingress qdisc already; if it may go: tc qdisc del dev {link} ingress")
    if now == wanted:
        return
    number = index(ip, link)
    if wanted is not None:
        ip.tc("add", "clsact", number)
        return
    if left := _count(ip, number):
        say = "a filter hangs" if left == 1 else f"{left} filters hang"
        raise RefusedError(
            f"the clsact of {link} stays, for {say} in it still; when nobody needs that: tc qdisc del dev {link} clsact"
        )
    ip.tc("del", "clsact", number)


def read_filter(ip: IPRoute, name: str) -> Filter | Foreign | None:
    """What of the link's packets goes where by the filter of this priority."""
    place = Place.parse(name)
    link = find(ip, place.link)
    return None if link is None else _decode(ip, _at(ip, link["index"], place), _header(link))


def write_filter(ip: IPRoute, name: str, wanted: Filter | None) -> None:
    """Hang it there, or take it away. One that says something else is taken away first.

    Raises RefusedError when it is somebody else's.
    """
    place = Place.parse(name)
    link = ip.link("get", ifname=place.link)[0]
    number, header = link["index"], _header(link)
    there = _at(ip, number, place)
    now = _decode(ip, there, header)
    where = f"dev {place.link} {place.hook}"
    if isinstance(now, Foreign):
        raise RefusedError(
            f"{place.link} has a {now.qdisc} of somebody else's with priority {place.priority} at its {place.hook}; "
            f"if it may go: tc filter del {where} prio {place.priority}"
        )
    if now == (classifiers.held(wanted) if wanted else None):
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
    """What came by filters of ours and what they took, of those that are there. A link is asked once for each hook."""
    places = {Place.parse(name): name for name in names}
    found = {}
    for link, hook in dict.fromkeys((place.link, place.hook) for place in places):
        there = find(ip, link)
        for each in _filters(ip, there["index"], hook) if there else ():
            name = places.get(Place(link, hook, each["info"] >> 16))
            if name is not None:
                seen, taken, size = classifiers.counted(each.get_attr("TCA_KIND"), each.get_attr("TCA_OPTIONS"))
                found[name] = QueueCounters(max(0, seen - taken), size, taken, 0, 0, 0, 0)
    return found


def hanging(ip: IPRoute, link: Any) -> Iterator[tuple[Place, Filter | Foreign]]:
    """Everybody's filters on a link, given by its message, by their places."""
    name, number = link.get_attr("IFLA_IFNAME"), link["index"]
    for hook in _HOOKS:
        by_priority: dict[int, list[Any]] = {}
        for each in _filters(ip, number, hook):
            by_priority.setdefault(each["info"] >> 16, []).append(each)
        for priority, there in by_priority.items():
            setting = _decode(ip, there, _header(link))
            if setting is not None:
                yield Place(name, hook, priority), setting


def _at(ip: IPRoute, number: int, place: Place) -> list[Any]:
    """All that hangs there under this priority."""
    return list(_filters(ip, number, place.hook, place.priority))


def _filters(ip: IPRoute, number: int, hook: str, priority: int = 0) -> Iterator[Any]:
    """Those of the chain that packets come to."""
    return (each for each in all_of(ip, number, hook, priority) if not chain(each))


def chain(message: Any) -> int:
    """The chain that a filter hangs in; packets come to 0, and to others when they are sent there."""
    return unnamed(message, _CHAIN)


def all_of(ip: IPRoute, number: int, hook: str, priority: int = 0) -> Iterator[Any]:
    """The filters of all chains, and of all priorities or of one; what the kernel lists besides, chains and u32's
    tables, left out."""
    for each in ip.tc("get-filter", index=number, parent=_HOOKS[hook], info=priority << 16):
        is_table = each.get_attr("TCA_KIND") == "u32" and not each["handle"] & _U32_NODE
        if each.get_attr("TCA_OPTIONS") is not None and not is_table:
            yield each


def _count(ip: IPRoute, number: int) -> int:
    """How many filters hang in a clsact. The kernel shows a u32 filter in both directions (net/sched/cls_u32.c:
    tc_u_common belongs to the qdisc) where each has one of its priority."""
    found = set()
    for hook in _HOOKS:
        for each in all_of(ip, number, hook):
            is_shown_twice = each.get_attr("TCA_KIND") == "u32"
            found.add((chain(each), each["info"], each["handle"], "" if is_shown_twice else hook))
    return len(found)


def _header(link: Any) -> int:
    """How long the header of the link's frames is, which police counts: none on a tunnel of packets."""
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
    """The link's name; "" for one that is gone."""
    try:
        return name(ip, number) if number else ""
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return ""
        raise
