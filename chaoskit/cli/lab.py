"""Plans the lab of a file for exec, shell and up, and tells the user what is in force there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.terminal import complain

if TYPE_CHECKING:
    from chaoskit.planning.model import Plan


@dataclass(frozen=True)
class Lab:
    """A file's lab: its variant, and the faults that are asked for."""

    file: Path
    variant: str | None
    faults: tuple[str, ...]

    def plan(self) -> tuple[Plan, Callable[[str], None]]:
        """The plan, and what tells the user where it is built, and behind which faults. Raises SpecError."""
        from chaoskit.planning.exec import compile_exec, fault_options
        from chaoskit.spec.matrix import load_variants

        experiment = load_variants(self.file).named(self.variant).experiment
        plan = compile_exec(experiment, self.faults)
        in_force = " and ".join(plan.phases[0].faults)

        def announce(where: str) -> None:
            complain(f"fault {in_force}, {where}" if in_force else where)
            if not self.faults:
                complain(f"no fault is in force; {experiment.name} has {fault_options(experiment)}")

        return plan, announce
