"""A link's root queueing discipline: netem or none. Each function acts in the namespace of `ip`.

Rules: what the kernel put there by itself (handle 0) reads as nothing, and comes back when ours goes. Ours has
a handle of its own, so that the next process knows it. Anything else is `Foreign` and never written, even a
netem: the kernel does not show its tables, so it could not be put back.
"""

from __future__ import annotations

from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.rtnl import TC_H_ROOT

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError
from chaoskit.kernel.links import find, index
from chaoskit.kernel.tc.netem import decode, encode, must_start_anew
from chaoskit.knobs import Foreign, Netem, QueueCounters

_OURS = 0xCA05_0000  # tc shows it as ca05:
_DRAIN = 2_000_000_000  # ns
_LOOK = 5_000_000  # ns between two looks at a queue that drains


def read(ip: IPRoute, link: str) -> Netem | Foreign | None:
    """What shapes the link, if anything does."""
    root = _root(ip, link)
    if root is None or root["handle"] == 0:
        return None
    kind = root.get_attr("TCA_KIND")
    if kind != "netem" or root["handle"] != _OURS:
        return Foreign(kind)
    return decode(root.get_attr("TCA_OPTIONS"))


def write(ip: IPRoute, link: str, wanted: Netem | None, clock: Clock) -> None:
    """Make the link's root this netem, or none. What is queued stays queued, unless a slot table has to go.

    Raises RefusedError when something else is there.
    """
    now = read(ip, link)
    if isinstance(now, Foreign):
        raise RefusedError(f"{link} is shaped by {now.qdisc} already; if it may go: tc qdisc del dev {link} root")
    if now is not None and (wanted is None or must_start_anew(now, wanted)):
        _remove(ip, link, now, clock)
        now = None
    if wanted is None:
        return
    verb, handle = ("add", _OURS) if now is None else ("change", 0)
    _tc(ip, verb, link, wanted, handle)


def counters(ip: IPRoute, link: str) -> QueueCounters | None:
    """The counters of our netem, if it is there."""
    root = _root(ip, link)
    if root is None or root["handle"] != _OURS:
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
    """Nothing is delayed or lost any more from here on; what is queued leaves when it was due, within 2 s."""
    _tc(ip, "change", link, Netem(limit=now.limit), 0)
    deadline = clock.now() + _DRAIN
    while (queue := counters(ip, link)) and queue.qlen and clock.now() < deadline:
        clock.sleep_until(clock.now() + _LOOK)
    ip.tc("del", index=index(ip, link), parent=TC_H_ROOT)


def _tc(ip: IPRoute, verb: str, link: str, netem: Netem, handle: int) -> None:
    options = encode(netem, anew=verb == "add")
    ip.tc(verb, "netem", index(ip, link), handle, parent=TC_H_ROOT, options=options)


def _root(ip: IPRoute, link: str) -> Any | None:
    there = find(ip, link)
    if there is None:
        return None
    qdiscs = ip.get_qdiscs(index=there["index"])
    return next((qdisc for qdisc in qdiscs if qdisc["parent"] == TC_H_ROOT), None)
