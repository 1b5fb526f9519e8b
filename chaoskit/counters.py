"""Defines what a kernel counted: packets of a queue or a filter, and packets that a router forwarded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QueueCounters:
    """Counters of a qdisc, of a filter (`drops`: packets it dropped), or of a link's ingress (`drops`: packets longer
    than a veth's MTU), since it was created. `qlen` is the number of packets in it now."""

    packets: int
    bytes: int
    drops: int
    overlimits: int
    requeues: int
    qlen: int
    backlog: int


@dataclass(frozen=True)
class HopCounters:
    """A namespace's counters as a router since it was created: packets received to forward, packets too big for the
    next link, and ICMP messages about that (type 3 code 4, ICMPv6 Packet Too Big)."""

    received: int
    too_big: int
    icmp_too_big: int
