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
from dataclasses import dataclass

from pyroute2 import IPRoute

from chaoskit.clock import Clock, RealClock
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import addresses, links, namespaces, netem, qdiscs, redirects, sysctls
from chaoskit.kernel.refusals import translated
from chaoskit.knobs import (
    Address,
    Ifb,
    Knob,
    Link,
    Namespace,
    Neighbour,
    Netem,
    QueueCounters,
    Redirect,
    Route,
    Setting,
    Sysctl,
    Veth,
)

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class _Space:
    """A network namespace: a descriptor that keeps it, and a netlink socket inside it."""

    fd: int
    ip: IPRoute

    @classmethod
    def of(cls, fd: int) -> _Space:
        with namespaces.inside(fd):
            return cls(fd, IPRoute(ext_ack=True))

    def close(self) -> None:
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

    def holds(self, setting: Setting) -> Setting:
        """What `read` gives after writing `setting` here."""
        match setting:
            case Netem():
                return netem.held(setting, keeps_seed="netem-seed" in self._facts.features)
            case Sysctl():
                return sysctls.held(setting)
            case _:
                return setting

    def counters(self, knob: Knob) -> QueueCounters | None:
        """The counters of a qdisc knob's netem; None when it is not there."""
        if knob.place not in self._spaces:
            return None
        with _undisturbed(), translated(knob, "read"):
            return qdiscs.counters(self._spaces[knob.place].ip, knob.name)

    def _read(self, space: _Space, knob: Knob) -> Setting:
        match knob.kind:
            case "veth":
                return links.read_veth(space.ip, knob.name, self._spaces)
            case "ifb":
                return links.read_ifb(space.ip, knob.name)
            case "link":
                return links.read_link(space.ip, knob.name)
            case "address":
                return addresses.read_address(space.ip, knob.name)
            case "route":
                return addresses.read_route(space.ip, knob.name)
            case "neighbour":
                return addresses.read_neighbour(space.ip, knob.name)
            case "sysctl":
                return sysctls.read(space.fd, knob.name)
            case "redirect":
                return redirects.read(space.ip, knob.name)
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
            case "address", Address() | None:
                addresses.write_address(space.ip, knob.name, setting)
            case "route", Route() | None:
                addresses.write_route(space.ip, knob.name, setting)
            case "neighbour", Neighbour() | None:
                addresses.write_neighbour(space.ip, knob.name, setting)
            case "sysctl", Sysctl() | None:
                sysctls.write(space.fd, knob.name, setting)
            case "redirect", Redirect() | None:
                redirects.write(space.ip, knob.name, setting)
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
