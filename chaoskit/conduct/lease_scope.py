"""Lock, lease, journal and guard, in this order, around whatever changes an interface; and all of it back again.

Rules: nothing is changed before all four stand, and nothing of what was changed outlives the body, unless the body
has detached. What an earlier process left behind is paid first, by a person's word.
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
from chaoskit.engine.lock import NAME, Lock
from chaoskit.engine.repayment import Repayment, keep_copy
from chaoskit.engine.watchdog import Watchdog
from chaoskit.errors import ChaoskitError, NotRestoredError, RefusedError
from chaoskit.folder import Folder, display_path
from chaoskit.knobs import Kernel

K = TypeVar("K", bound=Kernel)
_SETTING = 10 * 10**9  # ns that the changes may take, before the lease begins
_PATIENCE = 10 * 10**9  # ns that it may then take (two queues drain for two seconds each), before the guard does it


@dataclass(frozen=True)
class LeaseRequest:
    """What shall be in force on an interface, for `length` ns from `HeldLease.begin` on, by a command of somebody's.

    `words` are the injection's. With a `heartbeat` (ns) the lease ends earlier, when nobody has called
    `HeldLease.renew` for so long. `run` is the directory that gets a copy of the journal in the end.
    """

    command: str
    by: str
    interface: str
    length: int
    words: dict[str, Any] = field(default_factory=dict)
    heartbeat: int | None = None
    run: Path | None = None


@dataclass
class HeldLease(Generic[K]):
    """A lease in force. Change `kernel` through `journal` alone, by `engine.session.apply`; no other door to it, for
    there are things that only the door which made them can take away."""

    lease: Lease
    kernel: K
    journal: Journal
    guard: Watchdog
    order: LeaseRequest
    leases: Leases
    run: Folder | None = None
    is_detached: bool = False

    def begin(self) -> None:
        """All is set: the lease counts from now. Raises RefusedError when that cannot be written down."""
        self.lease = _dated(self.lease, self.order.length)
        self.leases.write(self.lease)
        self.guard.renew(self.order.heartbeat or self.order.length)

    def renew(self) -> None:
        """Tell the guard that we live; a few times a second is cheap.

        Raises RefusedError when the guard was killed: nothing shall stay changed that nobody watches.
        """
        if self.order.heartbeat is not None:
            self.guard.renew(self.order.heartbeat)
        else:
            self.guard.require()

    def detach(self) -> None:
        """Leave everything in force until the lease's end; the guard sees to that. The body may end.

        Raises RefusedError when there is no guard any more.
        """
        self.guard.detach(self.kernel.lifelines())
        self.is_detached = True


@contextmanager
def hold_lease(
    order: LeaseRequest, open_kernel: Callable[[], AbstractContextManager[K]], state: Path, lock: str = NAME
) -> Iterator[HeldLease[K]]:
    """The body may change what it holds. Afterwards all is as it was, unless it has detached.

    `open_kernel` gives a door to the kernel, to us and to the guard each; `state` is the state folder; `lock` is the
    name of the lock.
    Raises RefusedError before the body (another one at work, an unpaid lease, no room), and NotRestoredError
    after it, with everything that could not be put back.
    """
    leases = Leases(state)
    with ExitStack() as stack:
        with signals_held():
            taken = stack.enter_context(Lock.take(lock))
            _refuse_unpaid(leases)
            held = _hold(order, open_kernel, leases, taken, stack)
            stack.callback(_let_go, held)
        yield held


def _hold(
    order: LeaseRequest,
    open_kernel: Callable[[], AbstractContextManager[K]],
    leases: Leases,
    lock: Lock,
    stack: ExitStack,
) -> HeldLease[K]:
    """The guard first: it takes away the lease of an owner that dies before the first change."""
    kernel = stack.enter_context(open_kernel())
    run = None if order.run is None else stack.enter_context(_opened(order.run))
    lease = draw_up(order)
    span = _SETTING + (order.heartbeat or order.length)
    guard = Watchdog.start(Repayment(leases, lease.id), open_kernel, boottime() + span, lock)
    lease = _signed(lease, guard)
    try:
        folder = stack.enter_context(leases.begin(lease))
        journal = stack.enter_context(Journal.open(folder))
        guard.entrust(folder, journal, run)
    except ChaoskitError:
        guard.settle()
        raise
    return HeldLease(lease, kernel, journal, guard, order, leases, run)


def _opened(run: Path) -> Folder:
    try:
        return Folder.open(run, follow=True)
    except OSError as error:
        raise RefusedError(
            f"cannot write the run directory {display_path(run)}: {error.strerror}; give another --out"
        ) from error


def draw_up(order: LeaseRequest) -> Lease:
    """A lease of ours from now on, not yet written down."""
    here = Location.look()
    stamp = wall()[:19].replace("-", "").replace(":", "")
    lease = Lease(
        id=f"{stamp}-{os.getpid()}-{boottime() // 1_000_000 % 1000:03}",
        command=order.command,
        by=order.by,
        interface=order.interface,
        since="",
        until="",
        ends=0,
        words=order.words,
        machine=here.machine,
        boot=here.boot,
        namespace=here.namespace,
        owner=Process.of(os.getpid()),
    )
    return _dated(lease, order.length)


def _dated(lease: Lease, length: int) -> Lease:
    since, until = period(datetime.now(UTC), length)
    return replace(lease, since=since, until=until, ends=boottime() + length)


def _signed(lease: Lease, guard: Watchdog) -> Lease:
    return replace(lease, guard=guard.process)


def _refuse_unpaid(leases: Leases) -> None:
    """We hold the lock, so that nobody else works here: whoever still owes is dead."""
    here = Location.look()
    for lease in leases.all().leases:
        if lease.here != here or lease.ends_with_its_command:
            continue
        if leases.owed(lease.id):
            raise RefusedError(
                f"lease {lease.id} on {lease.interface} was not put back, and the processes that held it are dead: "
                f"sudo chaoskit restore"
            )
        leases.end(lease.id)


def _let_go(held: HeldLease[K]) -> None:
    """Put back, here; the guard stands by, and does what is left if we die on the way."""
    if held.is_detached:
        return
    with signals_held():
        if held.guard.is_alive:
            held.guard.renew(_PATIENCE)
        try:
            restore(held.kernel, held.journal)
            if held.run is not None:
                keep_copy(held.journal, held.run)
        finally:
            left = held.guard.settle()
    if left:
        raise NotRestoredError("not put back: " + "; ".join(left) + f"; then chaoskit restore {held.lease.id}")
