"""A lease that has to be paid: what its journal owes is put back, and then it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from chaoskit.engine.apply_restore import restore
from chaoskit.engine.journal import FILE, Debt, Journal
from chaoskit.engine.lease import Leases
from chaoskit.errors import RefusedError
from chaoskit.folder import Folder
from chaoskit.knobs import Kernel

OpenKernel = Callable[[], AbstractContextManager[Kernel]]


@dataclass(frozen=True)
class Repayment:
    """A lease that has to be paid."""

    leases: Leases
    id: str

    def owed(self) -> list[Debt]:
        """As `Leases.owed`."""
        return self.leases.owed(self.id)

    def pay(self, open_kernel: OpenKernel) -> list[str]:
        """Put back what is owed and end the lease. Returns what could not be, each in a sentence; the lease stays."""
        try:
            leftovers: list[str] = []
            if self.owed():
                with open_kernel() as kernel, self.leases.open(self.id) as folder, Journal.open(folder) as journal:
                    leftovers = [str(each) for each in restore(kernel, journal)]
        except RefusedError as error:
            leftovers = [str(error)]
        self.close(leftovers)
        return leftovers

    def close(self, leftovers: list[str]) -> None:
        """End the lease, or keep it with what is left."""
        if leftovers:
            self.leases.note_leftovers(self.id, leftovers)
        else:
            self.leases.end(self.id)


def keep_copy(journal: Journal, run: Folder) -> None:
    """What a run directory has of the journal of a real interface, unless it has one already, or has no room."""
    with suppress(OSError, RefusedError):
        fd = run.create(FILE)
        with open(fd, "wb") as file:  # noqa: PTH123  a descriptor, not a path
            file.write(journal.content())
