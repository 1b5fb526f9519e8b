"""Reads and writes a link's root qdisc: netem or none. Each function acts in the namespace of `ip`.

Rules: the kernel's default qdisc (handle 0) reads as None, and comes back when ours is removed. Ours has a fixed
handle, so that any process recognises it. Any other qdisc is `Foreign` and never written, even a netem: the kernel does
not dump its tables, so it could not be restored.
"""

from __future__ import annotations

from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import TC_H_ROOT

from chaoskit.clock import Clock
from chaoskit.counters import QueueCounters
from chaoskit.errors import RefusedError
from chaoskit.kernel.links import find, index
from chaoskit.kernel.tc.netem import decode, encode, must_replace
from chaoskit.knobs import Foreign, Netem

_HANDLE = 0xCA05_0000  # tc shows it as ca05:
_DRAIN = 2_000_000_000  # ns
_POLL_INTERVAL = 5_000_000  # ns between two reads of a draining queue


def read(ip: IPRoute, link: str) -> Netem | Foreign | None:
    """The root qdisc of the link; None for the default."""
    root = _root(ip, link)
    if root is None or root["handle"] == 0:
        return None
    kind = root.get_attr("TCA_KIND")
    if kind != "netem" or root["handle"] != _HANDLE:
        return Foreign(kind)
    return decode(root.get_attr("TCA_OPTIONS"))


def write(ip: IPRoute, link: str, wanted: Netem | None, clock: Clock) -> None:
    """Make this netem, or none, the root qdisc. Queued packets are kept, unless a slot table has to be removed.

    Raises RefusedError when a foreign qdisc is there.
    """
    now = read(ip, link)
    if isinstance(now, Foreign):
        raise RefusedError(
            f"{link} is shaped by {now.qdisc} already; if it may be removed: tc qdisc del dev {link} root"
        )
    if now is not None and (wanted is None or must_replace(now, wanted)):
        _remove(ip, link, now, clock)
        now = None
    if wanted is None:
        return
    verb, handle = ("add", _HANDLE) if now is None else ("change", 0)
    _tc(ip, verb, link, wanted, handle)


def counters(ip: IPRoute, link: str) -> QueueCounters | None:
    """The counters of our netem; None without one."""
    root = _root(ip, link)
    if root is None or root["handle"] != _HANDLE:
        return None
    statistics = root.get_attr("TCA_STATS2")
    basic, queue = statistics.get_attr("TCA_STATS_BASIC"), statistics.get_attr("TCA_STATS_QUEUE")
    return QueueCounters(
        packets=basic["packets"],
        bytes=basic["bytes"],
        drops=queue["drops"],
        overlimits=queue["overlimits"],
        requeues=queue["requeues"],
        qlen=queue["qlen"],
        backlog=queue["backlog"],
    )


def _remove(ip: IPRoute, link: str, now: Netem, clock: Clock) -> None:
    """Stop delaying and dropping, wait for queued packets to leave when due (at most 2 s), and delete the qdisc."""
    _tc(ip, "change", link, Netem(limit=now.limit), 0)
    deadline = clock.now() + _DRAIN
    while (queue := counters(ip, link)) and queue.qlen and clock.now() < deadline:
        clock.sleep_until(clock.now() + _POLL_INTERVAL)
    ip.tc("del", index=index(ip, link), parent=TC_H_ROOT)


def _tc(ip: IPRoute, verb: str, link: str, netem: Netem, handle: int) -> None:
    options = encode(netem, is_new=verb == "add")
    ip.tc(verb, "netem", index(ip, link), handle, parent=TC_H_ROOT, options=options)


def _root(ip: IPRoute, link: str) -> Any | None:
    link_message = find(ip, link)
    if link_message is None:
        return None
    qdiscs = ip.get_qdiscs(index=link_message["index"])
    return next((qdisc for qdisc in qdiscs if qdisc["parent"] == TC_H_ROOT), None)
