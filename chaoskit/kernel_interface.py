"""Defines what the engine asks of a kernel: to read, set and count; `kernel.linux` does it.

Errors of the kernel are raised as chaoskit's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chaoskit.facts import Facts
from chaoskit.knobs import Knob, Pulse, Setting


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


class Kernel(Protocol):
    """The interface to a kernel under test. Its errors are raised as chaoskit's own."""

    def facts(self) -> Facts:
        """What this kernel allows with this process's privileges."""

    def read(self, knob: Knob) -> Setting:
        """The knob's value; None when it does not exist."""

    def write(self, knob: Knob, setting: Setting) -> None:
        """Set the knob; None removes it. Returns when the kernel has the value.

        Removing a netem first waits until its queue is empty (for up to two seconds).
        Raises RefusedError with the kernel's error.
        """

    def pulse(self, pulse: Pulse) -> None:
        """Perform it. Raises RefusedError with the kernel's error."""

    def holds(self, setting: Setting) -> Setting:
        """What `read` gives after writing `setting` here: without tables, or a seed the kernel ignores."""

    def counters(self, knob: Knob) -> QueueCounters | None:
        """The counters of a qdisc knob, or the ingress counters of an MTU knob's link; None when it does not exist."""

    def filter_counters(self, knobs: tuple[Knob, ...]) -> dict[Knob, QueueCounters]:
        """The counters of the filter knobs among these that exist."""

    def hop_counters(self, place: str) -> HopCounters | None:
        """The counters of a namespace as a router; None when there is none of that name."""

    def owner_sockets(self) -> tuple[int, ...]:
        """Descriptors of the netlink sockets that own nftables tables here: these end with the last copy."""
