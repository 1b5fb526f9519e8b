"""Holds lock, watchdog, lease and journal around changes to an interface, and restores them.

Rules: nothing is changed before all four exist, and no change outlives the body, unless the body has detached. While
an earlier lease is not restored no new one begins: the user has to call `chaoskit restore` first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from chaoskit.clock import boottime, wall
from chaoskit.conduct.signals import held as signals_held
from chaoskit.engine.apply_restore import restore
from chaoskit.engine.journal import Journal
from chaoskit.engine.lease import Lease, Leases, Location, Process, period
from chaoskit.engine.lease_restore import LeaseRestore, keep_copy
from chaoskit.engine.lock import NAME, Lock
from chaoskit.engine.watchdog import Watchdog
from chaoskit.errors import ChaoskitError, NotRestoredError, RefusedError
from chaoskit.folder import Folder, display_path
from chaoskit.knobs import Kernel
from chaoskit.programs import sudo

K = TypeVar("K", bound=Kernel)
_SETUP_TIMEOUT = 10 * 10**9  # ns that the changes may take, before the lease begins
_RESTORE_TIMEOUT = 10 * 10**9  # ns for a restore (two queues drain for two seconds each) before the watchdog acts


@dataclass(frozen=True)
class LeaseRequest:
    """A lease to hold on an interface, for `length` ns from `HeldLease.begin` on, and the command and user it is for.

    `injection` is what the lease file shows. With a `heartbeat` (ns) the lease ends earlier, when `HeldLease.renew` was
    not called for that long. `run` is the directory that gets a copy of the journal at the end.
    """

    command: str
    user: str
    interface: str
    length: int
    injection: dict[str, Any] = field(default_factory=dict)
    heartbeat: int | None = None
    run: Path | None = None


@dataclass
class HeldLease(Generic[K]):
    """A lease in force. `kernel` is changed only by `engine.apply_restore.apply` with `journal`, and through no other
    `Kernel` object: some settings can be removed only by the object that created them."""

    lease: Lease
    kernel: K
    journal: Journal
    watchdog: Watchdog
    request: LeaseRequest
    leases: Leases
    run: Folder | None = None
    is_detached: bool = False

    def begin(self) -> None:
        """Start the lease's time, once everything is set. Raises RefusedError when the lease cannot be written."""
        self.lease = _with_period(self.lease, self.request.length)
        self.leases.write(self.lease)
        self.watchdog.renew(self.request.heartbeat or self.request.length)

    def renew(self) -> None:
        """Tell the watchdog that the owner is alive; a few times a second is cheap.

        Raises RefusedError when the watchdog was killed: no change stays in force without one.
        """
        if self.request.heartbeat is not None:
            self.watchdog.renew(self.request.heartbeat)
        else:
            self.watchdog.require_alive()

    def detach(self) -> None:
        """Leave everything in force until the lease ends, which the watchdog does. The body may end.

        Raises RefusedError when the watchdog is dead.
        """
        self.watchdog.detach(self.kernel.owner_sockets())
        self.is_detached = True


@contextmanager
def hold_lease(
    request: LeaseRequest, open_kernel: Callable[[], AbstractContextManager[K]], state: Path, lock: str = NAME
) -> Iterator[HeldLease[K]]:
    """The body may change the kernel through the lease. Afterwards everything is restored, unless it has detached.

    `open_kernel` opens the kernel, once for this process and once for the watchdog; `state` is the state folder;
    `lock` is the name of the lock.
    Raises RefusedError before the body (another chaoskit works here, a lease is not restored, the disk is full), and
    NotRestoredError after it, with everything that could not be restored.
    """
    leases = Leases(state)
    with ExitStack() as stack:
        with signals_held():
            taken = stack.enter_context(Lock.take(lock))
            _refuse_unrestored(leases)
            held = _acquire(request, open_kernel, leases, taken, stack)
            stack.callback(_release, held)
        yield held


def _acquire(
    request: LeaseRequest,
    open_kernel: Callable[[], AbstractContextManager[K]],
    leases: Leases,
    lock: Lock,
    stack: ExitStack,
) -> HeldLease[K]:
    """Start the watchdog first: it removes the lease of an owner that dies before the first change."""
    kernel = stack.enter_context(open_kernel())
    run = None if request.run is None else stack.enter_context(_open_run(request.run))
    lease = new_lease(request)
    span = _SETUP_TIMEOUT + (request.heartbeat or request.length)
    watchdog = Watchdog.start(LeaseRestore(leases, lease.id), open_kernel, boottime() + span, lock)
    lease = replace(lease, watchdog=watchdog.process)
    try:
        folder = stack.enter_context(leases.begin(lease))
        journal = stack.enter_context(Journal.open(folder))
        watchdog.hand_over(folder, journal, run)
    except ChaoskitError:
        watchdog.restore()
        raise
    return HeldLease(lease, kernel, journal, watchdog, request, leases, run)


def _open_run(run: Path) -> Folder:
    try:
        return Folder.open(run, follow=True)
    except OSError as error:
        raise RefusedError(
            f"cannot write the run directory {display_path(run)}: {error.strerror}; give another --out"
        ) from error


def new_lease(request: LeaseRequest) -> Lease:
    """A lease of this process that begins now, not yet written."""
    location = Location.current()
    stamp = wall()[:19].replace("-", "").replace(":", "")
    lease = Lease(
        id=f"{stamp}-{os.getpid()}-{boottime() // 1_000_000 % 1000:03}",
        command=request.command,
        user=request.user,
        interface=request.interface,
        since="",
        until="",
        deadline=0,
        injection=request.injection,
        machine=location.machine,
        boot=location.boot,
        namespace=location.namespace,
        owner=Process.of(os.getpid()),
    )
    return _with_period(lease, request.length)


def _with_period(lease: Lease, length: int) -> Lease:
    since, until = period(datetime.now(UTC), length)
    return replace(lease, since=since, until=until, deadline=boottime() + length)


def _refuse_unrestored(leases: Leases) -> None:
    """This process holds the lock, so the processes of every other lease here are dead."""
    location = Location.current()
    for lease in leases.all().leases:
        if lease.location != location or lease.is_running_exec:
            continue
        if leases.pending(lease.id):
            raise RefusedError(
                f"lease {lease.id} on {lease.interface} was not restored, and the processes that held it are dead: "
                f"{sudo()} restore"
            )
        leases.end(lease.id)


def _release(held: HeldLease[K]) -> None:
    """Restore in this process; the watchdog does the rest if this process dies meanwhile."""
    if held.is_detached:
        return
    with signals_held():
        if held.watchdog.is_alive:
            held.watchdog.renew(_RESTORE_TIMEOUT)
        try:
            restore(held.kernel, held.journal)
            if held.run is not None:
                keep_copy(held.journal, held.run)
        finally:
            leftovers = held.watchdog.restore()
    if leftovers:
        raise NotRestoredError("not restored: " + "; ".join(leftovers) + f"; then chaoskit restore {held.lease.id}")
