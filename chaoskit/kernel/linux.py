"""The kernel that runs us, as knobs. Everything goes through netlink and /proc; nothing is executed.

Namespaces are held here by descriptor, under the names that knobs call places; "" is our own. They live as
long as this object, the processes in them and their sockets. A forked child may use `inside`, to go and stay
somewhere, and nothing else of it: the netlink sockets belong to the process that opened it.

Interrupts wait while the kernel is asked: a handler that raises in the middle of an exchange would leave the
netlink socket in pieces, and with it the way back. So an interrupt comes out of `read` or `write` when the
knob is done, at the latest after the two seconds that a queue may drain.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from pyroute2 import IPRoute

from chaoskit.clock import Clock, RealClock
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import addresses, links, namespaces, orphans, snmp, sysctls
from chaoskit.kernel.errors import translated
from chaoskit.kernel.netfilter import masquerade, mss_clamp
from chaoskit.kernel.netfilter.nftables import Owned
from chaoskit.kernel.tc import classifiers, filters, netem, qdiscs
from chaoskit.knobs import (
    Address,
    Clamp,
    Clsact,
    Filter,
    HopCounters,
    Ifb,
    Knob,
    Link,
    Masquerade,
    Mtu,
    Namespace,
    Neighbour,
    Netem,
    Pulse,
    QueueCounters,
    Route,
    Setting,
    Sysctl,
    Veth,
)

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class _Space:
    """A network namespace: a descriptor that keeps it, a netlink socket inside it, and those that tables hang on."""

    fd: int
    ip: IPRoute
    tables: Owned = field(default_factory=dict)

    @classmethod
    def of(cls, fd: int) -> _Space:
        with namespaces.inside(fd):
            return cls(fd, IPRoute(ext_ack=True))

    def close(self) -> None:
        for table in self.tables.values():
            table.close()
        self.ip.close()
        os.close(self.fd)


class LinuxKernel:
    """Implements `knobs.Kernel`; a context manager. Not to be used inside a running asyncio loop."""

    def __init__(self, facts: Facts, clock: Clock | None = None) -> None:
        """`facts` come from `survey`; `clock` is what a queue's draining is waited for with."""
        self._facts = facts
        self._clock = clock or RealClock()
        self._spaces: dict[str, _Space] = {}

    def __enter__(self) -> LinuxKernel:
        netem.register()
        classifiers.register()
        with _undisturbed():
            self._spaces[""] = _Space.of(namespaces.current())
        return self

    def __exit__(self, *_: object) -> None:
        with _undisturbed():
            while self._spaces:
                self._spaces.popitem()[1].close()

    def facts(self) -> Facts:
        """What this kernel and these rights allow."""
        return self._facts

    def fileno(self, place: str) -> int:
        """The descriptor of a namespace of ours. Raises RefusedError when there is none of that name."""
        return self._space(place).fd

    def inside(self, place: str) -> AbstractContextManager[None]:
        """The calling thread is in that namespace for the body; sockets made there stay there."""
        return namespaces.inside(self.fileno(place))

    def read(self, knob: Knob) -> Setting:
        """What the knob holds now; None when it is not there, or when its namespace is gone."""
        if knob.kind == "namespace":
            return Namespace() if knob.name in self._spaces else None
        if knob.place not in self._spaces:
            return None
        with _undisturbed(), translated(knob, "read"):
            return self._read(self._spaces[knob.place], knob)

    def write(self, knob: Knob, setting: Setting) -> None:
        """Make it so; None removes. Raises RefusedError with the kernel's own words."""
        with _undisturbed(), translated(knob, "set"):
            if knob.kind == "namespace":
                self._write_namespace(knob.name, setting)
            else:
                self._write(self._space(knob.place), knob, setting)

    def pulse(self, pulse: Pulse) -> None:
        """Do it. Raises RefusedError with the kernel's own words."""
        space = self._space(pulse.place)
        with _undisturbed(), translated(Knob("route", pulse.place, "::/0"), "set"):
            addresses.forget_paths(space.ip)
            sysctls.write(space.fd, "net.ipv4.route.flush", Sysctl("1"))

    def holds(self, setting: Setting) -> Setting:
        """What `read` gives after writing `setting` here."""
        match setting:
            case Netem():
                return netem.held(setting, keeps_seed="netem-seed" in self._facts.features)
            case Sysctl():
                return sysctls.held(setting)
            case Filter():
                return classifiers.held(setting)
            case _:
                return setting

    def counters(self, knob: Knob) -> QueueCounters | None:
        """The counters of a qdisc knob's netem, or of what an MTU knob's link has received; None: it is not there."""
        if knob.place not in self._spaces:
            return None
        look = links.received if knob.kind == "mtu" else qdiscs.counters
        with _undisturbed(), translated(knob, "read"):
            return look(self._spaces[knob.place].ip, knob.name)

    def filter_counters(self, knobs: tuple[Knob, ...]) -> dict[Knob, QueueCounters]:
        """The counters of those of these filter knobs that are there."""
        found: dict[Knob, QueueCounters] = {}
        for place in dict.fromkeys(knob.place for knob in knobs if knob.place in self._spaces):
            here = {knob.name: knob for knob in knobs if knob.place == place}
            with _undisturbed(), translated(knobs[0], "read"):
                counted = filters.counters(self._spaces[place].ip, here)
            found |= {here[name]: counters for name, counters in counted.items()}
        return found

    def hop_counters(self, place: str) -> HopCounters | None:
        """The counters of a namespace as a hop; None when there is none of that name."""
        return snmp.counters(self._spaces[place].fd) if place in self._spaces else None

    def owner_sockets(self) -> tuple[int, ...]:
        """The descriptors that tables of our own namespace hang on."""
        return tuple(table.fd for table in self._spaces[""].tables.values())

    def orphans(self) -> list[Knob]:
        """What bears our names in our own namespace, with or without a journal, in the order of taking away."""
        with _undisturbed(), translated(Knob("filter", "", "of ours"), "read"):
            return orphans.orphans(self._spaces[""].ip)

    def _read(self, space: _Space, knob: Knob) -> Setting:
        match knob.kind:
            case "veth":
                return links.read_veth(space.ip, knob.name, self._spaces)
            case "ifb":
                return links.read_ifb(space.ip, knob.name)
            case "link":
                return links.read_link(space.ip, knob.name)
            case "mtu":
                return links.read_mtu(space.ip, knob.name)
            case "address":
                return addresses.read_address(space.ip, knob.name)
            case "route":
                return addresses.read_route(space.ip, knob.name)
            case "neighbour":
                return addresses.read_neighbour(space.ip, knob.name)
            case "sysctl":
                return sysctls.read(space.fd, knob.name)
            case "clsact":
                return filters.read_clsact(space.ip, knob.name)
            case "filter":
                return filters.read_filter(space.ip, knob.name)
            case "clamp":
                return mss_clamp.read(space.fd, knob.name)
            case "masquerade":
                return masquerade.read(space.fd, knob.name)
            case "qdisc":
                return qdiscs.read(space.ip, knob.name)
            case _:
                raise RefusedError(f"{knob} is of a kind that no kernel has")

    def _write(self, space: _Space, knob: Knob, setting: Setting) -> None:
        match knob.kind, setting:
            case "veth", Veth() | None:
                links.write_veth(space.ip, knob.name, setting, self._spaces)
            case "ifb", Ifb() | None:
                links.write_ifb(space.ip, knob.name, setting)
            case "link", Link() | None:
                links.write_link(space.ip, knob.name, setting)
            case "mtu", Mtu() | None:
                links.write_mtu(space.ip, knob.name, setting)
            case "address", Address() | None:
                addresses.write_address(space.ip, knob.name, setting)
            case "route", Route() | None:
                addresses.write_route(space.ip, knob.name, setting)
            case "neighbour", Neighbour() | None:
                addresses.write_neighbour(space.ip, knob.name, setting)
            case "sysctl", Sysctl() | None:
                sysctls.write(space.fd, knob.name, setting)
            case "clsact", Clsact() | None:
                filters.write_clsact(space.ip, knob.name, setting)
            case "filter", Filter() | None:
                filters.write_filter(space.ip, knob.name, setting)
            case "clamp", Clamp() | None:
                mss_clamp.write(space.fd, space.tables, knob.name, setting)
            case "masquerade", Masquerade() | None:
                masquerade.write(space.fd, space.tables, knob.name, setting)
            case "qdisc", Netem() | None:
                qdiscs.write(space.ip, knob.name, setting, self._clock)
            case _:
                raise RefusedError(f"{knob} cannot hold {setting}")

    def _write_namespace(self, name: str, setting: Setting) -> None:
        if name == "":
            raise RefusedError("our own network namespace is neither made nor removed")
        if setting is None:
            space = self._spaces.pop(name, None)
            if space is not None:
                space.close()
        elif name not in self._spaces:
            self._spaces[name] = _Space.of(namespaces.make())

    def _space(self, place: str) -> _Space:
        if place not in self._spaces:
            raise RefusedError(f"there is no namespace {place!r} of ours: it has to be made first")
        return self._spaces[place]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Interrupts that arrive inside are delivered at the end."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
