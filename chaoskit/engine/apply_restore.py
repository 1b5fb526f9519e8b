"""Applies changes to kernel settings, and restores the former values in reverse order.

Rules:
- Nothing is written before the journal holds the knob's former value.
- A change that does not read back as requested is refused.
- A restore continues with the other knobs when one of them fails.
- A knob that another program changed in the meantime is left as it is and reported.
- A write that was begun and never read back is undone, whatever the knob holds now.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from chaoskit.engine.describe import restore_command, show
from chaoskit.engine.journal import Journal, PendingRestore
from chaoskit.errors import RefusedError
from chaoskit.knobs import Change, Clamp, Filter, Foreign, Ifb, Kernel, Knob, Link, Mtu, Netem, Setting, Veth
from chaoskit.middlebox import Cut, IdleTimeout
from chaoskit.topology.connection_rules import table_name

_IPV6_MTU = 1280  # RFC 8200, section 5: below it the kernel disables IPv6 on a link


@dataclass(frozen=True)
class Leftover:
    """A knob that could not be restored, and why."""

    pending: PendingRestore
    reason: str

    def __str__(self) -> str:
        return f"{self.pending.knob}: {self.reason}; {restore_command(self.pending.knob, self.pending.former)}"


def examine(kernel: Kernel, changes: Iterable[Change]) -> None:
    """Read every knob before the first change. Raises RefusedError for what could not be restored exactly."""
    created: set[str] = set()
    for knob, wanted in changes:
        link = knob.name.partition(" ")[0]
        former = kernel.read(knob)
        _refuse_foreign_change(kernel, None, former, knob)
        if former is None and knob.kind in ("ifb", "veth"):
            created.add(link)
        elif link not in created and knob.place == "":
            _refuse_irreversible(knob, former, wanted)


def apply(kernel: Kernel, journal: Journal, change: Change) -> None:
    """Read, journal, set, read back. Raises RefusedError; `restore` has to be called in that case too.

    A knob may be changed several times; its pending restore keeps the value from before the first change.
    """
    knob, wanted = change
    former = kernel.read(knob)
    _refuse_foreign_change(kernel, journal.pending_for(knob), former, knob)
    if former is None and wanted is None:
        return
    journal.intend(knob, former, wanted)
    kernel.write(knob, wanted)
    got = kernel.read(knob)
    if got != kernel.holds(wanted):
        raise RefusedError(
            f"{knob} was set to {show(wanted)} and reads back {show(got)}: chaoskit doctor shows what works here"
        )
    journal.done(knob)


def restore(kernel: Kernel, journal: Journal) -> list[Leftover]:
    """Restore everything that is pending; return what could not be restored. May be called again, also after a crash.

    An interrupt, or an error other than RefusedError, is raised after all other knobs were restored.
    """
    leftovers: list[Leftover] = []
    with ExitStack() as in_reverse:
        for entry in reversed(journal.pending()):
            in_reverse.callback(_restore_one, kernel, journal, entry, leftovers)
    return leftovers


def _refuse_foreign_change(kernel: Kernel, pending: PendingRestore | None, former: Setting, knob: Knob) -> None:
    """Raises RefusedError where the knob holds another program's setting, which could not be restored."""
    if isinstance(former, Foreign):
        raise RefusedError(
            f"{knob} is a {former.qdisc} that chaoskit did not create: remove it first, or choose another interface"
        )
    if pending and pending.finished and former != kernel.holds(pending.wanted):
        raise RefusedError(
            f"{knob} was changed by another program during the run: it holds {show(former)}, "
            f"chaoskit had set {show(pending.wanted)}; find out which program changes it, and run again"
        )


def _refuse_irreversible(knob: Knob, former: Setting, wanted: Setting) -> None:
    """Raises RefusedError for a change to an existing setting that a restore could not undo exactly."""
    match former, wanted:
        case Clamp(), _:
            raise RefusedError(
                f"{knob} already exists, and no running chaoskit holds it: sudo nft delete table inet "
                f"chaoskit-{knob.name}"
            )
        case Cut() | IdleTimeout(), _:
            raise RefusedError(
                f"{knob} already exists, and no running chaoskit holds it: sudo nft delete table inet "
                f"{table_name(knob)}"
            )
        case Ifb() | Filter() | Veth(), _:
            raise RefusedError(f"{knob} already exists: if an earlier run of chaoskit left it, chaoskit restore")
        case Netem(), _:
            raise RefusedError(
                f"{knob} has a netem that chaoskit did not create, and the kernel does not report all its settings"
            )
        case Link(mtu=mtu), Link(mtu=smaller) if smaller < _IPV6_MTU <= mtu:
            raise RefusedError(
                f"{knob.name} would permanently lose its IPv6 addresses at an MTU of {smaller}: "
                f"give {_IPV6_MTU} or more"
            )
        case Mtu(mtu), Mtu(smaller) if smaller < _IPV6_MTU <= mtu:
            raise RefusedError(
                f"{knob.name} would permanently lose its IPv6 addresses at an MTU of {smaller}: "
                f"give {_IPV6_MTU} or more"
            )
        case Link(up=True), Link(up=False) | None:
            raise RefusedError(
                f"{knob.name} would lose its IPv6 addresses and routes when it is set down: use loss instead"
            )


def _restore_one(kernel: Kernel, journal: Journal, pending: PendingRestore, leftovers: list[Leftover]) -> None:
    try:
        is_gone = _is_gone_with_namespace(kernel, journal, pending.knob)
        reason = "" if is_gone else _write_former(kernel, journal, pending)
    except RefusedError as error:
        reason = str(error)
    if reason:
        leftovers.append(Leftover(pending, reason))
        return
    with suppress(RefusedError):  # on a full disk the line is missing, and the next restore checks the knob again
        journal.restored(pending.knob)


def _write_former(kernel: Kernel, journal: Journal, pending: PendingRestore) -> str:
    """Set the former value. Returns why the knob does not hold it now; "" when it does."""
    found = kernel.read(pending.knob)
    if found == pending.former or (found is None and pending.knob.kind == "link"):
        return ""  # the setting went with its link
    if pending.finished and found != kernel.holds(pending.wanted):
        return (
            f"left as it is, because another program changed it: it holds {show(found)}, "
            f"chaoskit had set {show(pending.wanted)}"
        )
    with suppress(RefusedError):  # without this line an interrupted write would look like another program's change
        journal.intend(pending.knob, found, pending.former)
    try:
        kernel.write(pending.knob, pending.former)
    except RefusedError:
        if kernel.read(pending.knob) != kernel.holds(
            pending.former
        ):  # else it is gone already, for example with its link
            raise
    got = kernel.read(pending.knob)
    return (
        "" if got == kernel.holds(pending.former) else f"it holds {show(got)} after being set to {show(pending.former)}"
    )


def _is_gone_with_namespace(kernel: Kernel, journal: Journal, knob: Knob) -> bool:
    """Whether the knob was in a namespace that this journal created and that no longer exists."""
    namespace = Knob("namespace", "", knob.place)
    return knob.place != "" and journal.pending_for(namespace) is not None and kernel.read(namespace) is None
