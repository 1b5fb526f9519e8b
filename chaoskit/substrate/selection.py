"""Which substrate, which clock: this kernel when it can do the plan, else a guest; and one sentence that says so.

| asked for                    | a guest that has virtual time | another guest, or none           |
|------------------------------|-------------------------------|----------------------------------|
| `auto`, clock `auto`         | it, in virtual time           | this kernel if it can, else it   |
| `auto`, clock `real`         | this kernel if it can, else it | the same                        |
| `uml`, clock `auto`          | it, in virtual time           | it, in real time                 |
| clock `virtual`              | it                            | refused                          |

An experiment on a real interface runs in the kernel that has it: this one, or nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import RefusedError, SpecError
from chaoskit.facts import Facts
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.rights import require_net_admin
from chaoskit.plan.model import InterfacePlan, Plan
from chaoskit.substrate import uml
from chaoskit.substrate.here import Here
from chaoskit.substrate.uml import GuestKernel, Uml

Substrate = Here | Uml
VIRTUAL = "virtual-time"
_GUEST = ", or --substrate uml"  # a remedy that is none where only this kernel will do


@dataclass(frozen=True)
class SubstrateOptions:
    """What a user asked for. `substrate`: auto, here or uml; `clock`: auto, real or virtual; `kernel`: of a guest."""

    substrate: str = "auto"
    kernel: Path | None = None
    clock: str = "auto"


def choose(
    needs: frozenset[str], wish: SubstrateOptions, interface: InterfacePlan | None = None
) -> tuple[Substrate, str]:
    """Look at this machine and decide. `interface` is the real one that the experiment is about.

    Raises RefusedError with what is missing and what to type for it.
    """
    if interface is not None:
        if interface.hits:
            require_net_admin(interface.name, "run")
        return at_interface(interface.name, needs, wish, detect_features())
    if wish.substrate == "here" and wish.kernel is not None:
        raise SpecError("--kernel names a guest's kernel, and --substrate here has no guest; take one of them away")
    if wish.substrate == "here" and wish.clock == "virtual":
        raise SpecError("--clock virtual is a guest's, and --substrate here has no guest; take one of them away")
    guest = find(wish.kernel) if wish.substrate != "here" else "not asked for"
    return decide(needs, wish, Facts() if _only_a_guest(wish) else detect_features(), guest)


def choose_each(plans: Sequence[Plan], wish: SubstrateOptions) -> list[tuple[Substrate, str]]:
    """The same for several plans; what needs the same is looked up once. Raises RefusedError for the first."""
    keys = [(plan.needs, plan.interface.name if plan.interface else "") for plan in plans]
    found = {key: choose(plan.needs, wish, plan.interface) for key, plan in dict(zip(keys, plans, strict=True)).items()}
    return [found[key] for key in keys]


def at_interface(interface: str, needs: frozenset[str], wish: SubstrateOptions, facts: Facts) -> tuple[Substrate, str]:
    """This kernel, of which `facts` tell, or the reason why it cannot be."""
    for option, is_given in (
        ("--clock virtual", wish.clock == "virtual"),
        ("--kernel", wish.kernel is not None),
        ("--substrate uml", wish.substrate == "uml"),
    ):
        if is_given:
            raise SpecError(f"{option} asks for a guest, and a guest has no {interface} of this machine; take it away")
    lacking = facts.lacks(needs)
    if lacking:
        answers = dict.fromkeys(facts.missing.get(each, each).removesuffix(_GUEST) for each in lacking)
        raise RefusedError(f"this kernel, {facts.kernel}, which has {interface}, cannot do this: {'; '.join(answers)}")
    return Here(), f"on {interface}, in this kernel, {facts.kernel}"


def decide(
    needs: frozenset[str], wish: SubstrateOptions, facts: Facts, guest: GuestKernel | str
) -> tuple[Substrate, str]:
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


def _only_a_guest(wish: SubstrateOptions) -> bool:
    return wish.substrate == "uml" or wish.kernel is not None or wish.clock == "virtual"


def find(kernel: Path | None) -> GuestKernel | str:
    """The guest kernel to boot, or the sentence that says why there is none."""
    try:
        return uml.find(kernel)
    except RefusedError as error:
        return str(error)
