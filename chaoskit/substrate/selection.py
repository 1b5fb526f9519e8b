"""Selects the substrate and the clock of a run, with one sentence that gives the reason.

| asked for                    | a guest that has virtual time | another guest, or none           |
|------------------------------|-------------------------------|----------------------------------|
| `auto`, clock `auto`         | it, in virtual time           | this kernel if it can, else it   |
| `auto`, clock `real`         | this kernel if it can, else it | the same                        |
| `uml`, clock `auto`          | it, in virtual time           | it, in real time                 |
| clock `virtual`              | it                            | refused                          |

An experiment on a real interface runs in this kernel, which has the interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaoskit.errors import RefusedError, SpecError
from chaoskit.facts import Facts
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.rights import require_net_admin
from chaoskit.planning.model import InterfacePlan, Plan
from chaoskit.planning.obstacles import kernel_obstacle
from chaoskit.substrate import guest_memory
from chaoskit.substrate.here import Here
from chaoskit.substrate.uml import GuestKernel, Uml
from chaoskit.substrate.virtual_time import VIRTUAL, find, has_virtual_time
from chaoskit.units import Size

Substrate = Here | Uml


SUBSTRATES = ("auto", "here", "uml")
CLOCKS = ("auto", "real", "virtual")


@dataclass(frozen=True)
class SubstrateOptions:
    """Options of the user. `substrate`: auto, here or uml; `clock`: auto, real or virtual; the others: of a guest.

    Raises SpecError for another word.
    """

    substrate: str = "auto"
    kernel: Path | None = None
    clock: str = "auto"
    memory: Size | None = None

    def __post_init__(self) -> None:
        for key, found, known in (("substrate", self.substrate, SUBSTRATES), ("clock", self.clock, CLOCKS)):
            if found not in known:
                raise SpecError(f"{key}: found {found!r}, expected one of {', '.join(known)}")

    @property
    def words(self) -> tuple[str, ...]:
        """The same as words of a command line."""
        words = ["--substrate", self.substrate, "--clock", self.clock]
        words += ["--kernel", str(self.kernel)] if self.kernel is not None else []
        return (*words, *([guest_memory.OPTION, str(self.memory)] if self.memory is not None else []))

    @property
    def allow_virtual_time(self) -> bool:
        """Whether a lab may run in virtual time by them."""
        return self.clock != "real" and self.substrate != "here"


def choose(
    needs: frozenset[str],
    options: SubstrateOptions,
    interface: InterfacePlan | None = None,
    memory: Size | None = None,
) -> tuple[Substrate, str]:
    """Survey this machine and decide. `interface`: of an experiment on a real interface; `memory`: what its file says.

    Raises RefusedError with what is missing and what to type for it.
    """
    if interface is not None:
        if interface.hits:
            require_net_admin(interface.name, "run")
        return on_interface(interface.name, needs, options, detect_features())
    return _with_memory(decide(needs, options, *_survey(options)), options, memory)


def _with_memory(
    decided: tuple[Substrate, str], options: SubstrateOptions, memory: Size | None
) -> tuple[Substrate, str]:
    """With the memory that an experiment's file names, where the user has not given another."""
    substrate, why = decided
    if isinstance(substrate, Uml) and memory is not None and options.memory is None:
        return replace(substrate, memory=memory), why
    return substrate, why


def choose_for_command(
    needs: frozenset[str], options: SubstrateOptions, memory: Size | None = None
) -> tuple[Substrate, str]:
    """The same for a command in a lab, with a few words instead of a sentence."""
    facts, guest = _survey(options)
    substrate, _ = _with_memory(decide(needs, options, facts, guest), options, memory)
    return substrate, in_brief(substrate, options, facts.lacks(needs))


def in_brief(substrate: Substrate, options: SubstrateOptions, lacking: Sequence[str]) -> str:
    """Where it runs, and why this kernel is not used, and the clock: in a guest (this kernel has no netem), ..."""
    if isinstance(substrate, Here):
        return "in this kernel, real clock"
    why = "as asked" if _needs_guest(options) else f"this kernel has no {', '.join(lacking)}"
    return f"in a guest ({why}), {'virtual' if substrate.virtual else 'real'} clock"


def _survey(options: SubstrateOptions) -> tuple[Facts, GuestKernel | str]:
    """What this kernel can do, unless it is not asked for, and the guest kernel or why there is none."""
    if options.substrate == "here" and options.kernel is not None:
        raise SpecError("--kernel names a guest's kernel, and --substrate here has no guest; remove one of them")
    if options.substrate == "here" and options.memory is not None:
        raise SpecError(f"{guest_memory.OPTION} is a guest's, and --substrate here has no guest; remove one of them")
    if options.substrate == "here" and options.clock == "virtual":
        raise SpecError("--clock virtual needs a guest, and --substrate here has no guest; remove one of them")
    guest = find(options.kernel) if options.substrate != "here" else "not asked for"
    return Facts() if _needs_guest(options) else detect_features(), guest


def choose_each(plans: Sequence[Plan], options: SubstrateOptions) -> list[tuple[Substrate, str]]:
    """The same for several plans; equal needs are surveyed once. Raises RefusedError for the first that fails."""
    keys = [(plan.needs, plan.interface.name if plan.interface else "", plan.memory) for plan in plans]
    distinct = dict(zip(keys, plans, strict=True))
    found = {key: choose(plan.needs, options, plan.interface, plan.memory) for key, plan in distinct.items()}
    return [found[key] for key in keys]


def on_interface(
    interface: str, needs: frozenset[str], options: SubstrateOptions, facts: Facts
) -> tuple[Substrate, str]:
    """This kernel, or RefusedError if by its `facts` it cannot run the plan."""
    for option, is_given in (
        ("--clock virtual", options.clock == "virtual"),
        ("--kernel", options.kernel is not None),
        (guest_memory.OPTION, options.memory is not None),
        ("--substrate uml", options.substrate == "uml"),
    ):
        if is_given:
            raise SpecError(f"{option} needs a guest, and a guest does not have {interface} of this machine; remove it")
    if obstacle := kernel_obstacle(interface, needs, facts):
        raise RefusedError(obstacle)
    return Here(), f"on {interface}, in this kernel, {facts.kernel}"


def decide(
    needs: frozenset[str], options: SubstrateOptions, facts: Facts, guest: GuestKernel | str
) -> tuple[Substrate, str]:
    """Decide between this kernel, by its `facts`, and a guest's; `guest` may be the reason why there is none."""
    if options.clock == "virtual":
        needs = needs | {VIRTUAL}
    lacking = facts.lacks(needs)
    virtual = options.clock != "real" and has_virtual_time(needs, guest)
    if not _needs_guest(options) and not lacking and not (virtual and options.substrate == "auto"):
        return Here(), f"in this kernel, {facts.kernel}, which has {', '.join(sorted(needs)) or 'all it needs'}"
    answers = "; ".join(dict.fromkeys(facts.missing.get(feature, feature) for feature in lacking))
    cannot = f"this kernel, {facts.kernel}, cannot do this: {answers}"
    if options.substrate == "here":
        raise RefusedError(cannot)
    if isinstance(guest, str):
        raise RefusedError(guest if _needs_guest(options) else f"{cannot}; and {guest}")
    if without := sorted(needs - guest.features):
        other = "remove --kernel, or " if options.kernel else ""
        raise RefusedError(
            f"the guest kernel {guest.path} has no {', '.join(without).replace(VIRTUAL, 'virtual time')}: {other}build "
            "one that has it with chaoskit kernel build"
        )
    time = "in virtual time" if virtual else "in real time"
    if _needs_guest(options):
        why = "as asked"
    else:
        why = f"because this kernel lacks {', '.join(lacking)}" if lacking else "because that is exact"
    kernel = f"User-Mode Linux {guest.release}" + (f" ({guest.origin})" if guest.origin else "")
    memory = options.memory or guest_memory.DEFAULT
    return Uml(guest, memory, virtual), f"{time}, in a guest kernel, {kernel}, {why}"


def _needs_guest(options: SubstrateOptions) -> bool:
    return options.substrate == "uml" or options.kernel is not None or options.clock == "virtual"
