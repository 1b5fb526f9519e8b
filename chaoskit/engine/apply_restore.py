"""Apply a change, and put everything back.

Rules:
- Nothing is written before it is in the journal with its former value.
- A change that does not read back as asked is refused.
- Putting back goes on whatever fails, in the reverse order.
- A knob that somebody else changed meanwhile is left alone and reported.
- A write that was begun and never read back is ours to undo, whatever the knob holds now.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from chaoskit.engine.describe import command, show
from chaoskit.engine.journal import Debt, Journal
from chaoskit.errors import RefusedError
from chaoskit.knobs import Change, Clamp, Filter, Foreign, Ifb, Kernel, Knob, Link, Mtu, Netem, Setting, Veth

_IPV6_MTU = 1280  # RFC 8200, section 5: below it the kernel takes IPv6 off a link


@dataclass(frozen=True)
class Leftover:
    """A knob that could not be put back, and why."""

    debt: Debt
    why: str

    def __str__(self) -> str:
        return f"{self.debt.knob}: {self.why}; {command(self.debt.knob, self.debt.former)}"


def examine(kernel: Kernel, changes: Iterable[Change]) -> None:
    """Read every knob before the first change. Raises RefusedError for what could not be put back exactly."""
    ours: set[str] = set()
    for knob, wanted in changes:
        link = knob.name.partition(" ")[0]
        former = kernel.read(knob)
        _refuse_meddling(kernel, None, former, knob)
        if former is None and knob.kind in ("ifb", "veth"):
            ours.add(link)
        elif link not in ours and knob.place == "":
            _refuse_the_irreversible(knob, former, wanted)


def apply(kernel: Kernel, journal: Journal, change: Change) -> None:
    """Read, write down, set, read back. Raises RefusedError, and then `restore` is owed all the same.

    A knob may be changed again and again; what is owed for it stays its first value.
    """
    knob, wanted = change
    former = kernel.read(knob)
    _refuse_meddling(kernel, journal.owed_for(knob), former, knob)
    if former is None and wanted is None:
        return
    journal.intend(knob, former, wanted)
    kernel.write(knob, wanted)
    got = kernel.read(knob)
    if got != kernel.holds(wanted):
        raise RefusedError(
            f"{knob} was asked to hold {show(wanted)} and holds {show(got)}: chaoskit doctor says what works here"
        )
    journal.done(knob)


def restore(kernel: Kernel, journal: Journal) -> list[Leftover]:
    """Put back everything that is owed; return what could not be. May be called again, after a crash too.

    An interrupt, or an error that is nobody's refusal, is raised after all the others were put back.
    """
    leftovers: list[Leftover] = []
    with ExitStack() as last_first:
        for debt in reversed(journal.owed()):
            last_first.callback(_settle, kernel, journal, debt, leftovers)
    return leftovers


def _refuse_meddling(kernel: Kernel, owed: Debt | None, former: Setting, knob: Knob) -> None:
    """Raises RefusedError where somebody else's work is, for it could not be put back."""
    if isinstance(former, Foreign):
        raise RefusedError(f"{knob} belongs to somebody else, a {former.qdisc}: take it away first, or choose another")
    if owed and owed.finished and former != kernel.holds(owed.wanted):
        raise RefusedError(
            f"{knob} was changed by somebody else during the run: it holds {show(former)}, "
            f"and we had set {show(owed.wanted)}; find out who else works on it, and run again"
        )


def _refuse_the_irreversible(knob: Knob, former: Setting, wanted: Setting) -> None:
    """Raises RefusedError for a change to what others have made, after which it would not be what it was."""
    match former, wanted:
        case Clamp(), _:
            raise RefusedError(
                f"{knob} is there already, and not by a chaoskit that lives: sudo nft delete table inet "
                f"chaoskit-{knob.name}"
            )
        case Ifb() | Filter() | Veth(), _:
            raise RefusedError(f"{knob} is there already: if an earlier run of ours left it, chaoskit restore")
        case Netem(), _:
            raise RefusedError(f"{knob} has a netem of somebody else's, and no kernel tells all that a netem holds")
        case Link(mtu=mtu), Link(mtu=smaller) if smaller < _IPV6_MTU <= mtu:
            raise RefusedError(
                f"{knob.name} would lose its IPv6 addresses at an MTU of {smaller}, for good: give {_IPV6_MTU} or more"
            )
        case Mtu(mtu), Mtu(smaller) if smaller < _IPV6_MTU <= mtu:
            raise RefusedError(
                f"{knob.name} would lose its IPv6 addresses at an MTU of {smaller}, for good: give {_IPV6_MTU} or more"
            )
        case Link(up=True), Link(up=False) | None:
            raise RefusedError(f"{knob.name} would lose its IPv6 addresses and its routes by going down: choose a loss")


def _settle(kernel: Kernel, journal: Journal, debt: Debt, leftovers: list[Leftover]) -> None:
    try:
        why = "" if _went_with_its_namespace(kernel, journal, debt.knob) else _put_back(kernel, journal, debt)
    except RefusedError as error:
        why = str(error)
    if why:
        leftovers.append(Leftover(debt, why))
        return
    with suppress(RefusedError):  # without room for this line the next restore looks again
        journal.restored(debt.knob)


def _put_back(kernel: Kernel, journal: Journal, debt: Debt) -> str:
    """Why the knob does not hold its former value now; "" when it does."""
    found = kernel.read(debt.knob)
    if found == debt.former or (found is None and debt.knob.kind == "link"):
        return ""  # a link that is gone took what it held along
    if debt.finished and found != kernel.holds(debt.wanted):
        return f"left alone, for somebody else changed it: it holds {show(found)}, we had set {show(debt.wanted)}"
    with suppress(RefusedError):  # without room for this line a write broken off in the middle looks like a stranger's
        journal.intend(debt.knob, found, debt.former)
    try:
        kernel.write(debt.knob, debt.former)
    except RefusedError:
        if kernel.read(debt.knob) != kernel.holds(debt.former):  # else it went by itself, as with its link
            raise
    got = kernel.read(debt.knob)
    return "" if got == kernel.holds(debt.former) else f"it holds {show(got)} after being set to {show(debt.former)}"


def _went_with_its_namespace(kernel: Kernel, journal: Journal, knob: Knob) -> bool:
    """A namespace that we made and that is no more took everything in it along."""
    home = Knob("namespace", "", knob.place)
    return knob.place != "" and journal.owed_for(home) is not None and kernel.read(home) is None
