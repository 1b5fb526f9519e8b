"""All that a link receives goes through an ifb first: clsact, one matchall filter, one mirred action.

Each function acts in the namespace of `ip`. A clsact without our filter is `Foreign`;
what others add to ours stays when ours goes.
"""

from __future__ import annotations

from socket import htons
from typing import Any

from pyroute2 import IPRoute
from pyroute2.protocols import ETH_P_ALL

from chaoskit.errors import RefusedError
from chaoskit.kernel.links import find, index, name
from chaoskit.knobs import Foreign, Redirect

_INGRESS, _EGRESS = 0xFFFF_FFF2, 0xFFFF_FFF3  # linux/pkt_sched.h: TC_H_CLSACT with either minor
_PRIORITY = 0xCA05
_INFO = _PRIORITY << 16 | htons(ETH_P_ALL)


def read(ip: IPRoute, link: str) -> Redirect | Foreign | None:
    """Which ifb the link's packets go through, if any."""
    there = find(ip, link)
    if there is None:
        return None
    kind = _container(ip, there["index"])
    if kind is None:
        return None
    target, _ = _filters(ip, there["index"])
    return Foreign(kind) if target is None else Redirect(to=name(ip, target))


def write(ip: IPRoute, link: str, wanted: Redirect | None) -> None:
    """Send the link's packets through the ifb, or take away what does, even when only half of it is there.

    Raises RefusedError where somebody else's filters would have to go.
    """
    number = index(ip, link)
    if wanted is None:
        _remove(ip, number)
        return
    now = read(ip, link)
    if isinstance(now, Foreign):
        raise RefusedError(f"{link} has a {now.qdisc} already; if it may go: tc qdisc del dev {link} {now.qdisc}")
    if now is not None:
        _remove(ip, number)
    ip.tc("add", "clsact", number)
    action = {"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": index(ip, wanted.to)}
    ip.tc("add-filter", "matchall", number, parent=_INGRESS, prio=_PRIORITY, protocol=ETH_P_ALL, action=action)


def _remove(ip: IPRoute, number: int) -> None:
    """Our filter first, and the clsact if nothing is left in it."""
    if _container(ip, number) != "clsact":
        return
    target, others = _filters(ip, number)
    if target is not None:
        ip.tc("del-filter", index=number, parent=_INGRESS, info=_INFO)
    if not others:
        ip.tc("del", "clsact", number)


def _container(ip: IPRoute, number: int) -> str | None:
    """What holds the link's ingress filters: "clsact", "ingress" or nothing."""
    kinds = [qdisc.get_attr("TCA_KIND") for qdisc in ip.get_qdiscs(index=number)]
    return next((kind for kind in kinds if kind in ("clsact", "ingress")), None)


def _filters(ip: IPRoute, number: int) -> tuple[int | None, int]:
    """Where our filter sends packets, if it is there, and how many filters of others are."""
    found = [
        _target(each)
        for parent in (_INGRESS, _EGRESS)
        for each in ip.get_filters(index=number, parent=parent)
        if each.get_attr("TCA_OPTIONS") is not None  # each filter is preceded by a message of its chain
    ]
    ours = [target for target in found if target is not None]
    return (ours[0] if ours else None), len(found) - len(ours)


def _target(message: Any) -> int | None:
    """The number of the link that this filter sends packets to, if it is ours."""
    if message["parent"] != _INGRESS or message["info"] != _INFO or message.get_attr("TCA_KIND") != "matchall":
        return None
    mirred = message.get_nested("TCA_OPTIONS", "TCA_MATCHALL_ACT", "TCA_ACT_PRIO_1", "TCA_ACT_OPTIONS")
    target: int | None = mirred.get_attr("TCA_MIRRED_PARMS")["ifindex"] if mirred else None
    return target
