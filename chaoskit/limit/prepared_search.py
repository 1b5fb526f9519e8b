"""Prepares a search: checks the file at every end of it, and finds out how its runs may be made.

Rule: it changes nothing, and starts nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any

from chaoskit.analysis.limits.search import Search
from chaoskit.conduct.file_check import FileCheck, check
from chaoskit.errors import SpecError
from chaoskit.planning.decidability import without_value
from chaoskit.planning.model import Plan
from chaoskit.planning.timetable import Timetable
from chaoskit.seed import derive
from chaoskit.spec.dose_scale import DoseScale, dose_scale
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import EXPERIMENT, parse_document, read_text
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.overrides import options_of, refuse_replaced
from chaoskit.spec.stage import InterfaceStage
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.substrate.virtual_time import find, has_virtual_time
from chaoskit.units import Duration, Size
from chaoskit.workers.cell import Cell
from chaoskit.workers.resources import largest_guest

MOST_POINTS = 64


@dataclass(frozen=True)
class Asked:
    """What the command line asks. `along`: the values at other paths, at each combination of which a limit is found."""

    file: Path
    path: str
    easy: str
    hard: str
    precision: float
    settings: Mapping[str, Any]
    along: Mapping[str, Sequence[Any]]
    variant: str | None = None
    at_least: str | None = None


@dataclass(frozen=True)
class Budget:
    """What a search may use. `max_runs` is of each point of a frontier; the others are of all together."""

    max_runs: int
    max_time: Duration | None = None
    max_requests: int | None = None


@dataclass(frozen=True)
class PreparedSearch:
    """A search whose runs compile. `points`: what is set beside the dose, one mapping for each search.

    `options` are words of `chaoskit run`. A run is planned to take `length` ns and to send `requests`. In virtual time
    several may run at once, each in a guest with `memory`. `warnings` and `advice` are about the file at both
    ends; not that a run has too few streams to decide an objective: a search asks whether its measured value holds.
    """

    asked: Asked
    experiment: Experiment
    doses: DoseScale
    search: Search
    points: tuple[Mapping[str, Any], ...]
    options: tuple[str, ...]
    plans: tuple[Plan, ...]
    warnings: tuple[str, ...]
    advice: tuple[str, ...]
    is_virtual: bool
    memory: Size | None
    length: int
    requests: int
    at_least: float | None
    fingerprint: str

    def cell(self, name: str, point: Mapping[str, Any], dose: str, seed: int) -> Cell:
        """A run at this dose."""
        values = {**self.asked.settings, **point, self.asked.path: dose}
        return Cell(name, self.asked.file, values, seed, self.options, is_alone=not self.is_virtual)

    def seed(self, number: int) -> int:
        """That of the run of this number in its search."""
        return derive(self.experiment.seed, "limit", number) % 2**31


def prepare(asked: Asked, where: SubstrateOptions) -> PreparedSearch:
    """Check it. Raises SpecError for what is wrong with the file or the options."""
    points = tuple(dict(zip(asked.along, each, strict=True)) for each in product(*asked.along.values()))
    if len(points) > MOST_POINTS:
        raise SpecError(f"--vary: {len(points)} searches, and at most {MOST_POINTS} are allowed; remove some values")
    _refuse_conflicts(asked)
    ends = {
        dose: [_experiment(asked, point, dose, f"--vary {asked.path} {end} {dose}") for point in points]
        for end, dose in (("--from", asked.easy), ("--to", asked.hard))
    }
    first = ends[asked.easy][0]
    scale = dose_scale(asked.path, asked.easy, asked.hard, asked.precision, lambda text: _takes(asked, points[0], text))
    if not first.objectives and not any(each.objectives for each in first.workloads.values()):
        raise SpecError(f"{asked.file} has no objectives, and a limit is where they no longer hold; add some")
    every = [each for group in ends.values() for each in group]
    found, options = check(every), ["--variant", asked.variant] if asked.variant is not None else []
    if found.plans[: len(points)] == found.plans[len(points) :]:
        raise SpecError(
            f"--vary {asked.path}: a run at {asked.hard} is the same as one at {asked.easy}; chaoskit validate "
            f"{asked.file} warns of what is not used, such as a fault without a phase"
        )
    is_lab = not isinstance(first.stage, InterfaceStage)
    is_virtual = is_lab and _is_virtual(found, where)
    texts = [str(asked), *(each.model_dump_json() for each in every)]
    return PreparedSearch(
        asked=asked,
        experiment=first,
        doses=scale,
        search=Search(asked.precision, scale.scale),
        points=points,
        options=(*options, *(where.words if is_lab else ())),
        plans=found.plans,
        warnings=tuple(dict.fromkeys((*found.warnings, *chain.from_iterable(map(without_value, found.plans))))),
        advice=found.advice,
        is_virtual=is_virtual,
        memory=largest_guest(found.plans, where) if is_virtual else None,
        length=max(plan.length for plan in found.plans),
        requests=max(map(_requests, found.plans)),
        at_least=None if asked.at_least is None else scale.place("at-least", asked.at_least),
        fingerprint=hashlib.sha256("\n".join(texts).encode()).hexdigest(),
    )


def _refuse_conflicts(asked: Asked) -> None:
    """Raises SpecError where the dose, or a value beside it, would not be what is run."""
    if seeds := [path for path in (asked.path, *asked.along) if path == "seed"]:
        raise SpecError(f"--vary {seeds[0]}: each run of a search has a seed of its own; vary another path")
    document = parse_document(read_text(asked.file, EXPERIMENT), str(asked.file), EXPERIMENT)
    dose, along = options_of("--vary", [asked.path]), {path: f"--vary {path}=..." for path in asked.along}
    refuse_replaced(document, options_of("--set", asked.settings), along | dose)
    refuse_replaced(document, along, dose)


def _experiment(asked: Asked, point: Mapping[str, Any], dose: str, giver: str = "") -> Experiment:
    """That at this dose. `giver`: the options that gave the dose, for messages."""
    values, givers = {**asked.settings, **point, asked.path: dose}, {asked.path: giver} | options_of("--vary", point)
    return load_variants(asked.file, values, givers).named(asked.variant).experiment


def _takes(asked: Asked, point: Mapping[str, Any], dose: str) -> bool:
    """Whether this can stand at the path."""
    try:
        _experiment(asked, point, dose)
    except SpecError:
        return False
    return True


def _is_virtual(found: FileCheck, where: SubstrateOptions) -> bool:
    needs = frozenset(need for plan in found.plans for need in plan.needs)
    return where.allow_virtual_time and has_virtual_time(needs, find(where.kernel))


def _requests(plan: Plan) -> int:
    """How many requests the measured workload is expected to send."""
    return Timetable.of(plan).gives("ttfb", None).streams
