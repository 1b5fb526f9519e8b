"""Which substrate: this kernel when it can do the plan, else a guest; and one sentence that says so."""

from __future__ import annotations

from pathlib import Path

from chaoskit.errors import RefusedError, SpecError
from chaoskit.facts import Facts
from chaoskit.kernel.survey import survey
from chaoskit.substrate import uml
from chaoskit.substrate.here import Here
from chaoskit.substrate.uml import GuestKernel, Uml

Substrate = Here | Uml


def choose(needs: frozenset[str], asked: str, kernel: Path | None) -> tuple[Substrate, str]:
    """Look at this machine and decide. `asked` is `auto`, `here` or `uml`; a `kernel` asks for a guest.

    Raises RefusedError with what is missing and what to type for it.
    """
    if kernel is not None and asked == "here":
        raise SpecError("--kernel names a guest's kernel, and --substrate here has no guest; take one of them away")
    if asked == "uml" or kernel is not None:
        return decide(needs, "uml", Facts(), find(kernel))
    facts = survey()
    return decide(needs, asked, facts, find(None) if facts.lacks(needs) else "not looked for")


def decide(needs: frozenset[str], asked: str, facts: Facts, guest: GuestKernel | str) -> tuple[Substrate, str]:
    """The choice between the kernel that `facts` tell of and a guest's, or the reason why there is no guest."""
    lacking = facts.lacks(needs)
    if asked != "uml" and not lacking:
        return (
            Here(),
            f"in this kernel, {facts.kernel}, which has {', '.join(sorted(needs)) or 'all it needs'}",
        )
    answers = "; ".join(dict.fromkeys(facts.missing.get(feature, feature) for feature in lacking))
    cannot = f"this kernel, {facts.kernel}, cannot do this: {answers}"
    if asked == "here":
        raise RefusedError(cannot)
    if isinstance(guest, str):
        raise RefusedError(f"{cannot}; and {guest}" if asked == "auto" else guest)
    if without := sorted(needs - guest.features):
        raise RefusedError(f"the guest kernel {guest.path} has no {', '.join(without)}; {uml.remedy()}")
    why = "as asked" if asked == "uml" else f"because this kernel lacks {', '.join(lacking)}"
    return Uml(guest), f"in a guest kernel, User-Mode Linux {guest.release}, {why}"


def find(kernel: Path | None) -> GuestKernel | str:
    """The guest kernel to boot, or the sentence that says why there is none."""
    try:
        return uml.find(kernel)
    except RefusedError as error:
        return str(error)
