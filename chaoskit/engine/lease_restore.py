"""Restores what the journal of a lease leaves pending, and then ends the lease."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from chaoskit.engine.apply_restore import restore
from chaoskit.engine.journal import FILE, Journal, PendingRestore
from chaoskit.engine.lease import Leases
from chaoskit.errors import RefusedError
from chaoskit.folder import Folder
from chaoskit.knobs import Kernel

OpenKernel = Callable[[], AbstractContextManager[Kernel]]


@dataclass(frozen=True)
class LeaseRestore:
    """A lease that has to be restored and ended."""

    leases: Leases
    id: str

    def pending(self) -> list[PendingRestore]:
        """As `Leases.pending`."""
        return self.leases.pending(self.id)

    def restore(self, open_kernel: OpenKernel) -> list[str]:
        """Restore and end the lease. Returns what could not be restored, a sentence each; then the lease stays."""
        try:
            leftovers: list[str] = []
            if self.pending():
                with open_kernel() as kernel, self.leases.open(self.id) as folder, Journal.open(folder) as journal:
                    leftovers = [str(each) for each in restore(kernel, journal)]
        except RefusedError as error:
            leftovers = [str(error)]
        self.close(leftovers)
        return leftovers

    def close(self, leftovers: list[str]) -> None:
        """End the lease, or keep it and record the leftovers."""
        if leftovers:
            self.leases.write_leftovers(self.id, leftovers)
        else:
            self.leases.end(self.id)


def keep_copy(journal: Journal, run: Folder) -> None:
    """Copy the journal of a real interface into a run directory, unless it has one or the disk is full."""
    with suppress(OSError, RefusedError):
        fd = run.create(FILE)
        with open(fd, "wb") as file:  # noqa: PTH123  a descriptor, not a path
            file.write(journal.content())
