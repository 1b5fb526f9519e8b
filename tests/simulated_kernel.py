"""Simulates a kernel in a file that several processes share, and starts lease owners that die at given moments."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from pydantic import TypeAdapter

from chaoskit.clock import Clock, RealClock
from chaoskit.conduct.lease_scope import HeldLease, LeaseRequest, hold_lease
from chaoskit.conduct.recovery import Recovery
from chaoskit.counters import HopCounters, QueueCounters
from chaoskit.engine.apply_restore import apply
from chaoskit.engine.lease import Lease, Leases
from chaoskit.facts import Facts
from chaoskit.knobs import Change, Ifb, Knob, Link, Netem, Pulse, Setting, Sysctl

FORWARD = Knob("sysctl", "", "net.ipv4.ip_forward")
LINK = Knob("link", "", "eth0")
IFB = Knob("ifb", "", "chaos-up")
ROOT = Knob("qdisc", "", "chaos-up")
BEFORE: dict[Knob, Setting] = {FORWARD: Sysctl("0"), LINK: Link(True, 1500, 65535)}
CHANGES: tuple[Change, ...] = (
    (FORWARD, Sysctl("1")),
    (LINK, Link(True, 1400, 1)),
    (IFB, Ifb()),
    (ROOT, Netem(delay=1)),
)
AFTER: dict[Knob, Setting] = dict(CHANGES)
_BOOK: TypeAdapter[list[tuple[Knob, Setting]]] = TypeAdapter(list[tuple[Knob, Setting]])


def _nothing(_moment: str) -> None:
    pass


@dataclass(frozen=True)
class SimulatedKernel:
    """Implements `recovery.SearchableKernel`; every write replaces the whole file, so that a kill leaves it whole.

    `hook` is called with "before" and "after" at each write.
    """

    path: Path
    hook: Callable[[str], None] = _nothing

    @property
    def settings(self) -> dict[Knob, Setting]:
        """All that it holds."""
        return dict(_BOOK.validate_json(self.path.read_bytes()))

    def fill(self, settings: dict[Knob, Setting]) -> None:
        """Hold these."""
        new = self.path.with_suffix(f".{os.getpid()}")
        new.write_bytes(_BOOK.dump_json(list(settings.items())))
        new.rename(self.path)

    def facts(self) -> Facts:
        """None."""
        return Facts()

    def read(self, knob: Knob) -> Setting:
        """What was written last."""
        return self.settings.get(knob)

    def write(self, knob: Knob, setting: Setting) -> None:
        """Write it down."""
        self.hook("before")
        settings = self.settings
        settings.pop(knob, None)
        self.fill(settings if setting is None else settings | {knob: setting})
        self.hook("after")

    def pulse(self, pulse: Pulse) -> None:
        """No lease has one."""
        raise NotImplementedError

    def holds(self, setting: Setting) -> Setting:
        """The setting itself."""
        return setting

    def counters(self, knob: Knob) -> QueueCounters | None:
        """Nothing passes a file."""
        return None

    def filter_counters(self, knobs: tuple[Knob, ...]) -> dict[Knob, QueueCounters]:
        """Nor is any taken."""
        return {}

    def hop_counters(self, place: str) -> HopCounters | None:
        """Nor through one."""
        return None

    def owner_sockets(self) -> tuple[int, ...]:
        """None: a file stays."""
        return ()

    def orphans(self) -> list[Knob]:
        """What has chaoskit's names, in the order of removal."""
        return [knob for knob in (ROOT, IFB) if knob in self.settings]

    @contextmanager
    def opened(self) -> Iterator[SimulatedKernel]:
        """As `LinuxKernel` is opened."""
        yield self


@dataclass
class LeaseHarness:
    """A simulated kernel, its own state folder and lock, and the processes that were started with them."""

    folder: Path
    request: LeaseRequest = field(default_factory=lambda: LeaseRequest("inject", "a test", "eth0", 60 * 10**9))
    pids: list[int] = field(default_factory=list)
    way_in: str | None = None
    made: ClassVar[list[Path]] = []

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.kernel = SimulatedKernel(self.folder / "kernel.json")
        self.kernel.fill(BEFORE)
        self.leases = Leases(self.folder / "state")
        self.lock = f"chaoskit test {os.getpid()} {len(LeaseHarness.made)}"
        LeaseHarness.made.append(self.folder)
        self.said: list[str] = []

    @property
    def lease(self) -> Lease:
        """The only one."""
        (lease,) = self.leases.all().leases
        return lease

    @property
    def is_clean(self) -> bool:
        """Whether all settings are restored, and no lease is left."""
        return self.kernel.settings == BEFORE and self.has_no_lease

    @property
    def has_no_lease(self) -> bool:
        """Whether no lease stands."""
        return not (self.leases.state / "leases").exists() or not any((self.leases.state / "leases").iterdir())

    def hold(self, then: Callable[[HeldLease[SimulatedKernel]], None], hook: Callable[[str], None] = _nothing) -> None:
        """Change everything, in this process, and do this before it is put back."""
        with hold_lease(self.request, replace(self.kernel, hook=hook).opened, self.leases.state, self.lock) as held:
            for change in CHANGES:
                apply(held.kernel, held.journal, change)
            held.begin()
            then(held)

    def begin(self, then: Callable[[HeldLease[SimulatedKernel]], None], hook: Callable[[str], None] = _nothing) -> int:
        """The same in a process of its own; its pid."""
        pid = os.fork()
        if pid:
            self.pids.append(pid)
            return pid
        code = 1
        try:
            os.setsid()
            self.hold(then, hook)
            code = 0
        finally:
            os._exit(code)

    def begun(self, then: Callable[[HeldLease[SimulatedKernel]], None] | None = None) -> int:
        """The pid of an owner that has changed everything, and waits."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)

        def work(held: HeldLease[SimulatedKernel]) -> None:
            ready.touch()
            (then or (lambda _: sleep()))(held)

        pid = self.begin(work)
        assert eventually(ready.exists)
        return pid

    def watchdog(self) -> int:
        """The pid of the watchdog."""
        watchdog = self.lease.watchdog
        assert watchdog is not None
        self.pids.append(watchdog.pid)
        return watchdog.pid

    def restore(self, lease: str | None = None, clock: Clock | None = None) -> list[str]:
        """What `chaoskit restore` could not restore; what it says is in `said`."""
        clock = clock or RealClock()
        recovery = Recovery(self.leases, self.kernel.opened, self.said.append, clock, self.lock, lambda _: self.way_in)
        if lease is None:
            recovery.restore_all()
        else:
            recovery.restore_one(lease)
        return recovery.leftovers

    def close(self) -> None:
        """End all processes that were started here."""
        with suppress(ValueError):
            if self.lease.watchdog:
                self.pids.append(self.lease.watchdog.pid)
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def sleep() -> None:
    """Until a signal comes."""
    while True:
        signal.pause()


def eventually(condition: Callable[[], bool], patience: float = 30.0) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def has_ended(pid: int) -> bool:
    """Whether a child (which is reaped) or any other process has ended."""
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
