"""Implements `knobs.Kernel` for the running kernel, through netlink and /proc.

Namespaces are held by descriptor, under the names that knobs call places; "" is the own namespace. They live as long
as this object, the processes in them and their sockets. A forked child may use `inside` to enter a namespace, and no
other method: the netlink sockets belong to the process that opened them.

Signals are blocked during netlink exchanges: a handler that raises in the middle of an exchange would break the
netlink socket, which restoring needs. An interrupt is delivered when `read` or `write` is done, at the latest after
the two seconds that a queue may drain.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from pyroute2 import IPRoute

from chaoskit.clock import Clock, RealClock
from chaoskit.counters import HopCounters, QueueCounters
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import addresses, links, namespaces, orphans, rules, snmp, sysctls
from chaoskit.kernel.errors import translate_errors
from chaoskit.kernel.netfilter import connection_table, masquerade, mss_clamp
from chaoskit.kernel.netfilter.nftables import OwnedTables
from chaoskit.kernel.tc import classifiers, filters, netem, qdiscs
from chaoskit.knobs import (
    Address,
    Clamp,
    Clsact,
    Filter,
    Ifb,
    Knob,
    Link,
    Masquerade,
    Mtu,
    Namespace,
    Neighbour,
    Netem,
    Pulse,
    Route,
    Rule,
    Setting,
    Sysctl,
    Veth,
)
from chaoskit.middlebox import Cut, IdleTimeout

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class _OpenNamespace:
    """A network namespace: its descriptor, a netlink socket inside it, and the sockets that own nftables tables."""

    fd: int
    ip: IPRoute
    tables: OwnedTables = field(default_factory=dict)

    @classmethod
    def of(cls, fd: int) -> _OpenNamespace:
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
        """`facts` come from `detect_features`; `clock` times the draining of queues."""
        self._facts = facts
        self._clock = clock or RealClock()
        self._namespaces: dict[str, _OpenNamespace] = {}

    def __enter__(self) -> LinuxKernel:
        netem.register()
        classifiers.register()
        with _signals_blocked():
            self._namespaces[""] = _OpenNamespace.of(namespaces.open_current())
        return self

    def __exit__(self, *_: object) -> None:
        with _signals_blocked():
            while self._namespaces:
                self._namespaces.popitem()[1].close()

    def facts(self) -> Facts:
        """The features that this kernel and these privileges allow."""
        return self._facts

    def fileno(self, place: str) -> int:
        """The descriptor of a namespace of this object. Raises RefusedError when there is none of that name."""
        return self._space(place).fd

    def inside(self, place: str) -> AbstractContextManager[None]:
        """Runs the body in that namespace (calling thread only); sockets created there stay there."""
        return namespaces.inside(self.fileno(place))

    def read(self, knob: Knob) -> Setting:
        """The current setting; None when the knob or its namespace does not exist."""
        if knob.kind == "namespace":
            return Namespace() if knob.name in self._namespaces else None
        if knob.place not in self._namespaces:
            return None
        with _signals_blocked(), translate_errors(knob, "read"):
            return self._read(self._namespaces[knob.place], knob)

    def write(self, knob: Knob, setting: Setting) -> None:
        """Apply the setting; None removes. Raises RefusedError with the kernel's message."""
        with _signals_blocked(), translate_errors(knob, "set"):
            if knob.kind == "namespace":
                self._write_namespace(knob.name, setting)
            else:
                self._write(self._space(knob.place), knob, setting)

    def pulse(self, pulse: Pulse) -> None:
        """Do it. Raises RefusedError with the kernel's message."""
        namespace = self._space(pulse.place)
        with _signals_blocked(), translate_errors(Knob("route", pulse.place, "::/0"), "set"):
            addresses.flush_path_mtus(namespace.ip)
            sysctls.write(namespace.fd, "net.ipv4.route.flush", Sysctl("1"))

    def holds(self, setting: Setting) -> Setting:
        """What `read` returns after `setting` was written."""
        match setting:
            case Netem():
                return netem.normalized(setting, keeps_seed="netem-seed" in self._facts.features)
            case Sysctl():
                return sysctls.normalized(setting)
            case Filter():
                return classifiers.normalized(setting)
            case _:
                return setting

    def counters(self, knob: Knob) -> QueueCounters | None:
        """The counters of a qdisc's netem, of what ends connections, or of what an MTU's link receives; None: no such
        knob."""
        if knob.place not in self._namespaces:
            return None
        if knob.kind in ("cut", "idle-timeout"):
            with _signals_blocked(), translate_errors(knob, "read"):
                return connection_table.counters(self._namespaces[knob.place].fd, knob)
        counters_of = links.receive_counters if knob.kind == "mtu" else qdiscs.counters
        with _signals_blocked(), translate_errors(knob, "read"):
            return counters_of(self._namespaces[knob.place].ip, knob.name)

    def filter_counters(self, knobs: tuple[Knob, ...]) -> dict[Knob, QueueCounters]:
        """The counters of those filter knobs that exist."""
        found: dict[Knob, QueueCounters] = {}
        for place in dict.fromkeys(knob.place for knob in knobs if knob.place in self._namespaces):
            by_name = {knob.name: knob for knob in knobs if knob.place == place}
            with _signals_blocked(), translate_errors(knobs[0], "read"):
                counted = filters.counters(self._namespaces[place].ip, by_name)
            found |= {by_name[name]: counters for name, counters in counted.items()}
        return found

    def hop_counters(self, place: str) -> HopCounters | None:
        """The counters of a namespace as a hop; None when there is none of that name."""
        return snmp.counters(self._namespaces[place].fd) if place in self._namespaces else None

    def owner_sockets(self) -> tuple[int, ...]:
        """The descriptors of the sockets that own nftables tables in the own namespace."""
        return tuple(table.fd for table in self._namespaces[""].tables.values())

    def orphans(self) -> list[Knob]:
        """Knobs with chaoskit's names in the own namespace, with or without a journal, in the order of removal."""
        with _signals_blocked(), translate_errors(Knob("filter", "", "of chaoskit"), "read"):
            return orphans.find_orphans(self._namespaces[""].ip)

    def _read(self, namespace: _OpenNamespace, knob: Knob) -> Setting:
        match knob.kind:
            case "veth":
                return links.read_veth(namespace.ip, knob.name, self._namespaces)
            case "ifb":
                return links.read_ifb(namespace.ip, knob.name)
            case "link":
                return links.read_link(namespace.ip, knob.name)
            case "mtu":
                return links.read_mtu(namespace.ip, knob.name)
            case "address":
                return addresses.read_address(namespace.ip, knob.name)
            case "route":
                return addresses.read_route(namespace.ip, knob.name)
            case "rule":
                return rules.read_rule(namespace.ip, knob.name)
            case "neighbour":
                return addresses.read_neighbour(namespace.ip, knob.name)
            case "sysctl":
                return sysctls.read(namespace.fd, knob.name)
            case "clsact":
                return filters.read_clsact(namespace.ip, knob.name)
            case "filter":
                return filters.read_filter(namespace.ip, knob.name)
            case "clamp":
                return mss_clamp.read(namespace.fd, knob.name)
            case "cut" | "idle-timeout":
                return connection_table.read(namespace.fd, knob)
            case "masquerade":
                return masquerade.read(namespace.fd, knob.name)
            case "qdisc":
                return qdiscs.read(namespace.ip, knob.name)
            case _:
                raise RefusedError(f"{knob} is of an unknown kind")

    def _write(self, namespace: _OpenNamespace, knob: Knob, setting: Setting) -> None:
        match knob.kind, setting:
            case "veth", Veth() | None:
                links.write_veth(namespace.ip, knob.name, setting, self._namespaces)
            case "ifb", Ifb() | None:
                links.write_ifb(namespace.ip, knob.name, setting)
            case "link", Link() | None:
                links.write_link(namespace.ip, knob.name, setting)
            case "mtu", Mtu() | None:
                links.write_mtu(namespace.ip, knob.name, setting)
            case "address", Address() | None:
                addresses.write_address(namespace.ip, knob.name, setting)
            case "route", Route() | None:
                addresses.write_route(namespace.ip, knob.name, setting)
            case "rule", Rule() | None:
                rules.write_rule(namespace.ip, knob.name, setting)
            case "neighbour", Neighbour() | None:
                addresses.write_neighbour(namespace.ip, knob.name, setting)
            case "sysctl", Sysctl() | None:
                sysctls.write(namespace.fd, knob.name, setting)
            case "clsact", Clsact() | None:
                filters.write_clsact(namespace.ip, knob.name, setting)
            case "filter", Filter() | None:
                filters.write_filter(namespace.ip, knob.name, setting)
            case "clamp", Clamp() | None:
                mss_clamp.write(namespace.fd, namespace.tables, knob.name, setting)
            case "cut", Cut() | None:
                connection_table.write(namespace.fd, namespace.tables, knob, setting)
            case "idle-timeout", IdleTimeout() | None:
                connection_table.write(namespace.fd, namespace.tables, knob, setting)
            case "masquerade", Masquerade() | None:
                masquerade.write(namespace.fd, namespace.tables, knob.name, setting)
            case "qdisc", Netem() | None:
                qdiscs.write(namespace.ip, knob.name, setting, self._clock)
            case _:
                raise RefusedError(f"{knob} cannot hold {setting}")

    def _write_namespace(self, name: str, setting: Setting) -> None:
        if name == "":
            raise RefusedError("the own network namespace is neither created nor removed")
        if setting is None:
            namespace = self._namespaces.pop(name, None)
            if namespace is not None:
                namespace.close()
        elif name not in self._namespaces:
            self._namespaces[name] = _OpenNamespace.of(namespaces.create())

    def _space(self, place: str) -> _OpenNamespace:
        if place not in self._namespaces:
            raise RefusedError(f"there is no namespace {place!r}: it has to be created first")
        return self._namespaces[place]


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Blocks interrupts during the body; they are delivered at its end."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
