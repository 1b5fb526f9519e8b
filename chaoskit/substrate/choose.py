"""Which substrate, which clock: this kernel when it can do the plan, else a guest; and one sentence that says so.

| asked for                    | a guest that has virtual time | another guest, or none           |
|------------------------------|-------------------------------|----------------------------------|
| `auto`, clock `auto`         | it, in virtual time           | this kernel if it can, else it   |
| `auto`, clock `real`         | this kernel if it can, else it | the same                        |
| `uml`, clock `auto`          | it, in virtual time           | it, in real time                 |
| clock `virtual`              | it                            | refused                          |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import RefusedError, SpecError
from chaoskit.facts import Facts
from chaoskit.kernel.survey import survey
from chaoskit.substrate import uml
from chaoskit.substrate.here import Here
from chaoskit.substrate.uml import GuestKernel, Uml

Substrate = Here | Uml
VIRTUAL = "virtual-time"


@dataclass(frozen=True)
class Wish:
    """What a user asked for. `substrate`: auto, here or uml; `clock`: auto, real or virtual; `kernel`: of a guest."""

    substrate: str = "auto"
    kernel: Path | None = None
    clock: str = "auto"


def choose(needs: frozenset[str], wish: Wish) -> tuple[Substrate, str]:
    """Look at this machine and decide. Raises RefusedError with what is missing and what to type for it."""
    if wish.substrate == "here" and wish.kernel is not None:
        raise SpecError("--kernel names a guest's kernel, and --substrate here has no guest; take one of them away")
    if wish.substrate == "here" and wish.clock == "virtual":
        raise SpecError("--clock virtual is a guest's, and --substrate here has no guest; take one of them away")
    guest = find(wish.kernel) if wish.substrate != "here" else "not asked for"
    return decide(needs, wish, Facts() if _only_a_guest(wish) else survey(), guest)


def decide(needs: frozenset[str], wish: Wish, facts: Facts, guest: GuestKernel | str) -> tuple[Substrate, str]:
    """The choice between the kernel that `facts` tell of and a guest's, or the reason why there is no guest."""
    if wish.clock == "virtual":
        needs = needs | {VIRTUAL}
    lacking = facts.lacks(needs)
    virtual = wish.clock != "real" and isinstance(guest, GuestKernel) and guest.features >= needs | {VIRTUAL}
    if not _only_a_guest(wish) and not lacking and not (virtual and wish.substrate == "auto"):
        return Here(), f"in this kernel, {facts.kernel}, which has {', '.join(sorted(needs)) or 'all it needs'}"
    answers = "; ".join(dict.fromkeys(facts.missing.get(feature, feature) for feature in lacking))
    cannot = f"this kernel, {facts.kernel}, cannot do this: {answers}"
    if wish.substrate == "here":
        raise RefusedError(cannot)
    if isinstance(guest, str):
        raise RefusedError(guest if _only_a_guest(wish) else f"{cannot}; and {guest}")
    if without := sorted(needs - guest.features):
        raise RefusedError(f"the guest kernel {guest.path} has no {', '.join(without)}; chaoskit kernel build")
    time = "in virtual time" if virtual else "in real time"
    if _only_a_guest(wish):
        why = "as asked"
    else:
        why = f"because this kernel lacks {', '.join(lacking)}" if lacking else "because that is exact"
    return Uml(guest, virtual=virtual), f"{time}, in a guest kernel, User-Mode Linux {guest.release}, {why}"


def _only_a_guest(wish: Wish) -> bool:
    return wish.substrate == "uml" or wish.kernel is not None or wish.clock == "virtual"


def find(kernel: Path | None) -> GuestKernel | str:
    """The guest kernel to boot, or the sentence that says why there is none."""
    try:
        return uml.find(kernel)
    except RefusedError as error:
        return str(error)
