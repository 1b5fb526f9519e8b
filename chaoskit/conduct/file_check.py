"""Checks the experiments of a file: warnings, advice, and why this machine would refuse to run them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chaoskit.conduct.lab_timers import with_timers
from chaoskit.conduct.planning import load_warnings, missing_programs, unset
from chaoskit.facts import Facts
from chaoskit.kernel.features import detect_features
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.decidability import decidability_warnings, joint_advice
from chaoskit.planning.model import Plan
from chaoskit.planning.obstacles import obstacles
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.probe.prompts import read_prompts
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.stage import InterfaceStage


@dataclass(frozen=True)
class FileCheck:
    """What is said of the experiments of a file: each sentence once.

    `undecidable`: warnings of objectives that a run of its own cannot decide; `remedies`: advice about several of them.
    `notes`: why this machine could not run it now.
    """

    plans: tuple[Plan, ...]
    warnings: tuple[str, ...]
    undecidable: tuple[str, ...]
    advice: tuple[str, ...]
    remedies: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Those of the file and of its objectives."""
        return *self.warnings, *self.undecidable

    @property
    def all_advice(self) -> tuple[str, ...]:
        """About the file and its objectives."""
        return *self.advice, *self.remedies


def check(experiments: Sequence[Experiment]) -> FileCheck:
    """Check them. Raises SpecError and RefusedError for what cannot be compiled."""
    for each in experiments:
        read_prompts(each.workload)
    on_interface = any(isinstance(each.stage, InterfaceStage) for each in experiments)
    facts = detect_features() if on_interface else Facts()
    plans = tuple(with_timers(compile_plan(each, placeholder_lookups(each)), each.key_lines) for each in experiments)
    return FileCheck(
        plans=plans,
        warnings=_once(each for plan in plans for each in _warnings(plan)),
        undecidable=_once(each for plan in plans for each in decidability_warnings(plan)),
        advice=_once(each for plan in plans for each in plan.advice),
        remedies=_once(each for plan in plans for each in joint_advice(plan)),
        notes=_once(note for each, plan in zip(experiments, plans, strict=True) for note in _notes(each, plan, facts)),
    )


def _notes(experiment: Experiment, plan: Plan, facts: Facts) -> Iterator[str]:
    """Why a run would be refused here, in the words of the refusal. A lab may run in a guest."""
    yield from missing_programs(plan)
    if isinstance(experiment.stage, InterfaceStage):
        yield from obstacles(experiment.stage.interface or "", plan.needs, facts, unset(experiment.stage.variables))


def _warnings(plan: Plan) -> Iterator[str]:
    yield from plan.warnings
    yield from load_warnings(plan.workload, plan.target, plan.server, surges=plan.surges)


def _once(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentences))
