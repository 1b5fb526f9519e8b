"""Prepares the runs of a suite: compiles them, and finds out which may run side by side.

Rule: it changes nothing, and starts nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaoskit import file_trust, programs
from chaoskit.conduct.file_check import FileCheck, check
from chaoskit.conduct.sudo_caller import Caller
from chaoskit.errors import RefusedError, SpecError
from chaoskit.planning.until_decided import with_rounds
from chaoskit.spec.stage import InterfaceStage
from chaoskit.spec.suite_load import LoadedSuite, SuiteRun
from chaoskit.substrate.virtual_time import find, has_virtual_time
from chaoskit.workers.cell import Cell


@dataclass(frozen=True)
class PreparedRun:
    """A run whose experiments compile. `is_virtual`: it may run beside others; all others are alone.

    `options` are words of `chaoskit run` beside those of its values; `found` has the warnings.
    """

    run: SuiteRun
    found: FileCheck
    is_virtual: bool
    options: tuple[str, ...]

    @property
    def name(self) -> str:
        """That of the run."""
        return self.run.name

    @property
    def cell(self) -> Cell:
        """What is started for it."""
        run = self.run
        return Cell(run.name, run.file, run.overrides, options=self.options, is_alone=not self.is_virtual)

    @property
    def is_judged(self) -> bool:
        """Whether it has objectives."""
        return any(plan.objectives or any(other.objectives for other in plan.workloads) for plan in self.found.plans)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The options that enter the network namespaces of its interfaces; () for a lab."""
        stages = (each.experiment.stage for each in self.run.variants.each)
        return tuple(dict.fromkeys(each.namespace_option for each in stages if isinstance(each, InterfaceStage)))


@dataclass(frozen=True)
class Place:
    """Where labs run: in virtual time if `allowed` and the guest kernel has it.

    `words` are options of `run` for labs, `every` those for all runs.
    """

    kernel: Path | None = None
    allowed: bool = True
    words: tuple[str, ...] = ()
    every: tuple[str, ...] = ()


def prepare(runs: Sequence[SuiteRun], place: Place) -> tuple[PreparedRun, ...]:
    """All of them. Raises SpecError, with the name of the run, for what cannot be compiled."""
    guest = find(place.kernel) if place.allowed else "not asked for"
    prepared = []
    for run in runs:
        chosen = run.variants.each if run.variant is None else (run.variants.named(run.variant),)
        try:
            for each in chosen if run.until_decided is not None else ():
                with_rounds(each.experiment, run.until_decided or each.experiment.timeline[0].length)
            found = check([each.experiment for each in chosen])
        except SpecError as error:
            raise SpecError(f"{run.name}: {error}") from None
        is_lab = not any(isinstance(each.experiment.stage, InterfaceStage) for each in chosen)
        needs = frozenset(need for plan in found.plans for need in plan.needs)
        is_virtual = is_lab and has_virtual_time(needs, guest)
        options = (*_options(run), *place.every, *(place.words if is_lab else ()))
        prepared.append(PreparedRun(run, found, is_virtual, options))
    return tuple(prepared)


def _options(run: SuiteRun) -> tuple[str, ...]:
    """Of `chaoskit run`, for its variant and its length."""
    words = ["--variant", run.variant] if run.variant is not None else []
    if run.until_decided is not None:
        words += ["--until-decided", "--max-time", str(run.until_decided)]
    return tuple(words)


def check_commands(loaded: LoadedSuite, user: Caller | None) -> None:
    """Raises RefusedError where others could change a command that would run, or a program is not there.

    `user` is whom the commands run as, None for this process's own. A program with a path may be made by an earlier
    command, and is looked at when it is started.
    """
    commands = loaded.suite.commands
    if not commands:
        return
    uid = os.geteuid() if user is None else user.uid
    if weakness := file_trust.weakness(loaded.file, uid):
        remedy = weakness.remedy or f"chown {uid} {loaded.file}"
        raise RefusedError(
            f"the commands of {loaded.file} are not run, because others could change them: {weakness.reason}; {remedy}"
        )
    for missing in missing_programs(loaded):
        raise RefusedError(f"{loaded.file}: {missing}; install it")


def missing_programs(loaded: LoadedSuite) -> tuple[str, ...]:
    """A sentence for each program without a path that a command of the suite needs and this machine has not."""
    names = {command.run[0]: command for command in loaded.suite.commands if "/" not in command.run[0]}
    return tuple(
        f"there is no program {name} for [{', '.join(command.run)}]"
        for name, command in names.items()
        if programs.find(name) is None
    )
