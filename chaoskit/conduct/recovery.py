"""Restores what earlier runs of chaoskit left in this network namespace.

| the lease                                 | what is done                                                       |
|-------------------------------------------|--------------------------------------------------------------------|
| its owner is alive                        | the owner gets SIGTERM first: it restores and prints its report    |
| its owner is dead, stopped or too slow    | the watchdog gets SIGTERM: it kills the owner and restores         |
| its watchdog is dead, stopped or slow too | both are killed, then the lease is restored here                   |
| its processes are in another container    | restored once the lock is free, which those hold while they run    |
| belongs to a running exec                 | left alone: it ends with its command                               |
| is from an earlier boot                   | closed: what it had changed ended with that boot                   |
| is from another machine                   | left alone, and reported with its location                         |
| is from another network namespace         | left alone, and reported with what to type                         |
| is from a network namespace that is gone  | closed: what it had changed ended with that namespace              |
| cannot be read                            | closed when nothing is pending; else left until restored by its id |

`restore_all` also removes what has one of chaoskit's names and is in no journal.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from chaoskit.clock import Clock, RealClock
from chaoskit.conduct.network_namespace import way_into
from chaoskit.engine import lock
from chaoskit.engine.describe import show
from chaoskit.engine.journal import PendingRestore
from chaoskit.engine.lease import Lease, Leases, Location, Process
from chaoskit.engine.lease_restore import LeaseRestore
from chaoskit.engine.lock import NAME, Lock
from chaoskit.errors import RefusedError, SpecError
from chaoskit.knobs import Kernel, Knob
from chaoskit.programs import sudo, typed_by

_POLL = 5_000_000  # ns
_STOPPED_TIMEOUT = 3 * 10**9  # ns that a process may be stopped (SIGSTOP) after SIGTERM
_KILL_TIMEOUT = 60 * 10**9  # ns from SIGKILL to the end of a process: its last system call has to return
# ns that each may take after SIGTERM: probes end, and queues are drained first
_OWNER_TIMEOUT, _WATCHDOG_TIMEOUT = 20 * 10**9, 60 * 10**9


class SearchableKernel(Kernel, Protocol):
    """A kernel that can be searched for objects that chaoskit created."""

    def orphans(self) -> list[Knob]:
        """What has one of chaoskit's names, in the order of removal."""


@dataclass
class Recovery:
    """Restores leases in the kernel that `open_kernel` opens. `report` gets one line for each event.

    `way_into` gives the option that enters a network namespace, "" for one that is gone, None for one out of sight.
    `leftovers` is what could not be restored, a sentence each.
    """

    leases: Leases
    open_kernel: Callable[[], AbstractContextManager[SearchableKernel]]
    report: Callable[[str], None]
    clock: Clock = field(default_factory=RealClock)
    lock: str = NAME
    way_into: Callable[[str], str | None] = way_into
    leftovers: list[str] = field(default_factory=list)

    def restore_all(self) -> None:
        """Restore all leases of this network namespace, and remove what else has chaoskit's names in it.

        Raises RefusedError when a process works here that no lease names, or that this user may not signal.
        """
        location = Location.current()
        for lease in self.leases.all().leases:
            if lease.location == location and not lease.is_running_exec:
                self._end_holders(lease)
        self.restore_abandoned()

    def restore_abandoned(self) -> None:
        """Restore what no process holds any more. Raises RefusedError, and does nothing, while one works here."""
        with Lock.take(self.lock):
            location, found = Location.current(), self.leases.all()
            leases = [lease for lease in found.leases if not self._is_left_to_exec(lease, location)]
            for listener in lock.untrusted_holders(self.lock):
                self.report(f"{listener} listens on a name of chaoskit's lock, which has no effect: see ps and ss -xlp")
            for lease in leases:
                self._restore(lease, location)
            for id, reason in found.broken.items():
                self._close_unreadable(id, reason)
            self._remove_orphans()

    def _is_left_to_exec(self, lease: Lease, location: Location) -> bool:
        if lease.is_unseen_exec and lease.location == location:
            self.report(
                f"lease {lease.id} belongs to an exec in another container and is left alone: when that has ended, "
                f"{sudo()} restore {lease.id}"
            )
            return True
        return lease.is_running_exec

    def restore_one(self, id: str) -> None:
        """Restore this lease. Raises SpecError when there is none with that id, RefusedError as `restore_all`."""
        location, found = Location.current(), self.leases.all()
        lease = next((each for each in found.leases if each.id == id), None)
        if lease is None and id not in found.broken:
            known = ", ".join(each.id for each in found.leases) or "none"
            raise SpecError(f"no lease {id!r}; leases: {known}; see chaoskit status")
        if lease is not None and lease.is_running_exec and lease.owner is not None:
            raise RefusedError(
                f"lease {id} belongs to a running exec and ends with its command: kill {lease.owner.pid}"
            )
        if lease is not None and lease.boot == location.boot:
            self._end_holders(lease)
            if lease.id not in {each.id for each in self.leases.all().leases}:
                return
            if lease.location != location:  # it cannot be restored from here
                self.leftovers += self.leases.leftovers(lease.id)
        with Lock.take(self.lock):
            if lease is not None:
                self._restore(lease, location)
            else:
                self._restore_here(LeaseRestore(self.leases, id))

    def _end_holders(self, lease: Lease) -> None:
        """End the processes that hold the lease; those that respond restore it first.

        The owner is asked first: the watchdog would kill it, and then it could not print its report.
        """
        before = self._pending(lease)
        for holder, patience in ((lease.owner, _OWNER_TIMEOUT), (lease.watchdog, _WATCHDOG_TIMEOUT)):
            if holder is not None and holder.state:
                self._terminate(holder, patience)
        for holder in (lease.watchdog, lease.owner):
            if holder is not None and holder.state:
                self._kill(holder)
        self._report_restored(before, lease)

    def _terminate(self, process: Process, patience: int) -> None:
        """Send SIGTERM; return when it has ended, after `patience` ns, or when it is stopped."""
        _send(process, signal.SIGTERM)
        sent = running = self.clock.now()
        while state := process.state:
            now = self.clock.now()
            running = running if state in "Tt" else now
            if now - running > _STOPPED_TIMEOUT or now - sent > patience:
                return
            self.clock.sleep_until(now + _POLL)

    def _kill(self, process: Process) -> None:
        """Raises RefusedError when it does not end: it may still change what it holds."""
        _send(process, signal.SIGKILL)
        killed = self.clock.now()
        while state := process.state:
            if self.clock.now() - killed > _KILL_TIMEOUT:
                raise RefusedError(
                    f"process {process.pid} was killed and has not ended (state {state}), so what it holds cannot be "
                    "restored yet: chaoskit restore, when ps no longer shows it"
                )
            self.clock.sleep_until(self.clock.now() + _POLL)

    def _pending(self, lease: Lease) -> list[PendingRestore]:
        try:
            return self.leases.pending(lease.id)
        except RefusedError:
            return []  # `_restore` reports the error

    def _report_restored(self, before: list[PendingRestore], lease: Lease) -> None:
        """Report which of these are no longer pending."""
        pending = {entry.knob for entry in self._pending(lease)}
        for entry in before:
            if entry.knob not in pending:
                self.report(_restored_line(entry))

    def _restore(self, lease: Lease, location: Location) -> None:
        lease_restore = LeaseRestore(self.leases, lease.id)
        if not self.leases.folder(lease.id).exists():
            return  # its watchdog has ended it
        if lease.machine != location.machine:
            self.report(
                f"lease {lease.id} is from another machine ({lease.machine}) and is left alone: restore it there"
            )
        elif lease.boot != location.boot:
            lease_restore.close([])
            self.report(f"lease {lease.id} is from an earlier boot and has no effect any more: closed")
        elif lease.namespace != location.namespace:
            self._restore_elsewhere(lease, lease_restore)
        else:
            self._restore_here(lease_restore)

    def _restore_elsewhere(self, lease: Lease, lease_restore: LeaseRestore) -> None:
        """Close the lease of a network namespace that is gone; of another one, say how to get there."""
        way_in = self.way_into(lease.namespace)
        if way_in == "" and not any(each is not None and each.state for each in (lease.owner, lease.watchdog)):
            lease_restore.close([])
            self.report(f"lease {lease.id}: its network namespace is gone, and what it had changed with it: closed")
            return
        advice = f"{sudo()} restore {way_in}" if way_in else "it is not visible from here; run chaoskit restore there"
        self.report(
            f"lease {lease.id} on {lease.interface} is in another network namespace and is left alone: {advice}"
        )

    def _restore_here(self, lease: LeaseRestore) -> None:
        try:
            pending = lease.pending()
        except RefusedError:
            pending = []  # `restore` reports the same error
        leftovers = lease.restore(self.open_kernel)
        for entry in pending:
            if not any(each.startswith(f"{entry.knob}: ") for each in leftovers):
                self.report(_restored_line(entry))
        self.leftovers += leftovers

    def _close_unreadable(self, id: str, reason: str) -> None:
        lease = LeaseRestore(self.leases, id)
        try:
            if id and not lease.pending():
                lease.close([])
                return
        except RefusedError as error:
            reason = str(error)
        self.leftovers.append(reason)

    def _remove_orphans(self) -> None:
        with self.open_kernel() as kernel:
            orphans = kernel.orphans()
            for knob in orphans:
                try:
                    kernel.write(knob, None)
                    self.report(f"{knob}: removed; it was in no journal")
                except RefusedError as error:
                    self.leftovers.append(str(error))
        for link in sorted({knob.name.partition(" ")[0] for knob in orphans if knob.kind == "filter"}):
            self.report(
                f"the clsact of {link} stays, because another program may use it: "
                + typed_by(os.geteuid(), f"sudo tc qdisc del dev {link} clsact")
            )


def _restored_line(entry: PendingRestore) -> str:
    return f"{entry.knob}: " + ("removed" if entry.former is None else f"restored to {show(entry.former)}")


def _send(process: Process, sign: signal.Signals) -> None:
    """Raises RefusedError without the permission."""
    try:
        process.send_signal(sign)
    except PermissionError as error:
        raise RefusedError(f"no permission to end process {process.pid}: {sudo()} restore") from error
