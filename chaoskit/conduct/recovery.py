"""Paying for the dead: whatever any earlier chaoskit left in this network namespace is put back.

| the lease                             | what becomes of it                                              |
|---------------------------------------|-----------------------------------------------------------------|
| its owner lives                       | is asked first (SIGTERM): it puts back itself, with its words   |
| its owner is gone, frozen or late     | the guard is asked, which kills the owner and puts back itself  |
| its guard is gone, frozen or late too | what lives of the two is killed, then it is paid here           |
| is a living exec's                    | left alone: it ends with its command                            |
| is of an earlier boot                 | closed: what it had changed went with that boot                 |
| is of another machine or namespace    | left alone, and said where it belongs                           |
| cannot be read                        | closed when it owes nothing; else left alone until it is named  |

What bears our names and is in no journal goes too, when everything is to go.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from chaoskit.clock import Clock, RealClock
from chaoskit.engine import lock
from chaoskit.engine.describe import show
from chaoskit.engine.journal import Debt
from chaoskit.engine.lease import Lease, Leases, Location, Process
from chaoskit.engine.lock import NAME, Lock
from chaoskit.engine.repayment import Repayment
from chaoskit.errors import RefusedError, SpecError
from chaoskit.knobs import Kernel, Knob

_GLANCE = 5_000_000  # ns
_FROZEN = 3 * 10**9  # ns that a process may stand still after it was asked to end
_DYING = 60 * 10**9  # ns that a process may take to die: its last system call is waited for
_OWNERS, _GUARDS = 20 * 10**9, 60 * 10**9  # ns that each may take at work: probes end, and queues are drained first


class SearchableKernel(Kernel, Protocol):
    """A kernel that can be searched for what is ours."""

    def orphans(self) -> list[Knob]:
        """What bears our names, in the order of taking away."""


@dataclass
class Recovery:
    """Pays leases into the kernel behind `open_door`. `say` is given one line for each thing that happens.

    `left` is what could not be put back, each in a sentence.
    """

    leases: Leases
    open_door: Callable[[], AbstractContextManager[SearchableKernel]]
    say: Callable[[str], None]
    clock: Clock = field(default_factory=RealClock)
    lock: str = NAME
    left: list[str] = field(default_factory=list)

    def everything(self) -> None:
        """All leases of this network namespace, and whatever else bears our names in it.

        Raises RefusedError when somebody is at work here whom no lease names, or who is not ours to end.
        """
        here, found = Location.look(), self.leases.all()
        leases = [lease for lease in found.leases if not lease.ends_with_its_command]
        for lease in leases:
            if lease.here == here:
                self._end_holders(lease)
        with Lock.take(self.lock):
            for stranger in lock.strangers(self.lock):
                self.say(f"{stranger} listens where chaoskit's lock is, which stops nothing: see ps and ss -xlp")
            for lease in leases:
                self._pay(lease, here)
            for id, why in found.broken.items():
                self._sweep(id, why)
            self._take_orphans()

    def one(self, id: str) -> None:
        """This lease. Raises SpecError when there is none of that name, RefusedError as `everything`."""
        here, found = Location.look(), self.leases.all()
        lease = next((each for each in found.leases if each.id == id), None)
        if lease is None and id not in found.broken:
            known = ", ".join(each.id for each in found.leases) or "there is none"
            raise SpecError(f"no lease {id!r}; leases: {known}; see chaoskit status")
        if lease is not None and lease.ends_with_its_command and lease.owner is not None:
            raise RefusedError(f"lease {id} ends with the command of its exec: kill {lease.owner.pid}")
        if lease is not None and lease.boot == here.boot:
            self._end_holders(lease)
            if lease.id not in {each.id for each in self.leases.all().leases}:
                return
            if lease.here != here:  # where nobody tries again
                self.left += self.leases.leftovers(lease.id)
        with Lock.take(self.lock):
            if lease is not None:
                self._pay(lease, here)
            else:
                self._pay_here(Repayment(self.leases, id))

    def _end_holders(self, lease: Lease) -> None:
        """Whoever holds the lease has ended on return; who was able to has put all back.

        The owner is asked first, for its guard would kill it, and its terminal would say no more than that.
        """
        debts = self._debts(lease)
        for holder, patience in ((lease.owner, _OWNERS), (lease.guard, _GUARDS)):
            if holder is not None and holder.state:
                self._ask(holder, patience)
        for holder in (lease.guard, lease.owner):
            if holder is not None and holder.state:
                self._kill(holder)
        self._tell(debts, lease)

    def _ask(self, process: Process, patience: int) -> None:
        """To end; return when it has, or when it takes longer than `patience` ns, or stands still."""
        _send(process, signal.SIGTERM)
        asked = moved = self.clock.now()
        while state := process.state:
            now = self.clock.now()
            moved = moved if state in "Tt" else now
            if now - moved > _FROZEN or now - asked > patience:
                return
            self.clock.sleep_until(now + _GLANCE)

    def _kill(self, process: Process) -> None:
        """Raises RefusedError when it does not die: what it still holds is nobody else's yet."""
        _send(process, signal.SIGKILL)
        killed = self.clock.now()
        while state := process.state:
            if self.clock.now() - killed > _DYING:
                raise RefusedError(
                    f"process {process.pid} was killed and has not ended (state {state}), so what it holds cannot be "
                    "put back yet: chaoskit restore, when ps no longer shows it"
                )
            self.clock.sleep_until(self.clock.now() + _GLANCE)

    def _debts(self, lease: Lease) -> list[Debt]:
        try:
            return self.leases.owed(lease.id)
        except RefusedError:
            return []  # whoever pays will say so

    def _tell(self, debts: list[Debt], lease: Lease) -> None:
        """What of these is no longer owed."""
        owed = {debt.knob for debt in self._debts(lease)}
        for debt in debts:
            if debt.knob not in owed:
                self.say(_put_back(debt))

    def _pay(self, lease: Lease, here: Location) -> None:
        account = Repayment(self.leases, lease.id)
        if not self.leases.folder(lease.id).exists():
            return  # its guard was quicker
        if lease.machine != here.machine:
            self.say(f"lease {lease.id} is of another machine ({lease.machine}) and is left alone: restore it there")
        elif lease.boot != here.boot:
            account.close([])
            self.say(f"lease {lease.id} was of an earlier boot: nothing of it is left, closed")
        elif lease.namespace != here.namespace:
            self.say(
                f"lease {lease.id} is of another network namespace ({lease.namespace}) and is left alone: chaoskit "
                f"restore there, or when that is gone: rm -r {self.leases.folder(lease.id)}"
            )
        else:
            self._pay_here(account)

    def _pay_here(self, account: Repayment) -> None:
        try:
            debts = account.owed()
        except RefusedError:
            debts = []  # `pay` says the same
        left = account.pay(self.open_door)
        for debt in debts:
            if not any(each.startswith(f"{debt.knob}: ") for each in left):
                self.say(_put_back(debt))
        self.left += left

    def _sweep(self, id: str, why: str) -> None:
        account = Repayment(self.leases, id)
        try:
            if id and not account.owed():
                account.close([])
                return
        except RefusedError as error:
            why = str(error)
        self.left.append(why)

    def _take_orphans(self) -> None:
        with self.open_door() as door:
            orphans = door.orphans()
            for knob in orphans:
                try:
                    door.write(knob, None)
                    self.say(f"{knob}: taken away; no journal told of it")
                except RefusedError as error:
                    self.left.append(str(error))
        for link in sorted({knob.name.partition(" ")[0] for knob in orphans if knob.kind == "filter"}):
            self.say(f"the clsact of {link} stays, for anybody may have made it: sudo tc qdisc del dev {link} clsact")


def _put_back(debt: Debt) -> str:
    return f"{debt.knob}: " + ("gone again" if debt.former is None else f"{show(debt.former)} again")


def _send(process: Process, sign: signal.Signals) -> None:
    """Raises RefusedError without the right to."""
    try:
        process.send(sign)
    except PermissionError as error:
        raise RefusedError(f"process {process.pid} is not yours to end: sudo chaoskit restore") from error
