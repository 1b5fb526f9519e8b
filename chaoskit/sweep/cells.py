"""Plans a sweep: its points, and its cells, which repeat a point with other seeds.

Rules: the seeds of a point's repeats are that of its experiment and those after it, the same at every point, so that
points differ by their values alone. The name of a cell follows from its values and its seed, so that more values or
more repeats add cells, and change none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chaoskit.conduct.file_check import FileCheck, check
from chaoskit.errors import SpecError
from chaoskit.spec.load import EXPERIMENT, read_text
from chaoskit.spec.matrix import Variant, vary
from chaoskit.spec.overrides import words_of
from chaoskit.spec.stage import InterfaceStage
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.substrate.virtual_time import find, has_virtual_time
from chaoskit.units import Duration, Size, counted
from chaoskit.workers.cell import Cell
from chaoskit.workers.resources import largest_guest

MOST = 10_000  # cells
_SEED = "seed"


@dataclass(frozen=True)
class PlannedCell:
    """A cell, the place of its point, its seed, and the planned time of its run."""

    cell: Cell
    point: int
    seed: int
    length: Duration


@dataclass(frozen=True)
class SweepPlan:
    """Everything that a sweep runs. `paths` are varied, `axes` are their short names.

    `memory` is that of a guest, the largest one; None: no cell has a guest.
    """

    file: Path
    text: str
    name: str
    question: str
    has_objectives: bool
    axes: tuple[str, ...]
    paths: tuple[str, ...]
    points: tuple[Variant, ...]
    cells: tuple[PlannedCell, ...]
    memory: Size | None
    found: FileCheck
    fingerprint: str

    @property
    def is_alone(self) -> bool:
        """Whether its cells run one after the other: on a real interface, or in real time."""
        return any(each.cell.is_alone for each in self.cells)


def plan_sweep(
    file: Path,
    overrides: Mapping[str, Any],
    variations: Mapping[str, Sequence[Any]],
    repeats: int,
    where: SubstrateOptions,
) -> SweepPlan:
    """The sweep of this file. Raises SpecError for what cannot be, RefusedError where it cannot be compiled here."""
    if str(file) == "-":
        raise SpecError("a sweep reads its file in each run: write it to a file instead of -")
    text = read_text(file, EXPERIMENT)
    found = vary(text, str(file), overrides, variations, MOST)
    if (count := len(found.each) * repeats) > MOST:
        points = counted(len(found.each), "combination")
        raise SpecError(f"--repeats {repeats} of {points} are {count} runs, and at most {MOST} are allowed: give fewer")
    paths = tuple(found.each[0].settings)
    if repeats > 1 and _SEED in paths:
        raise SpecError("--repeats gives each run a seed, and seed is varied: leave one of them out")
    checked = check([each.experiment for each in found.each])
    if len(found.each) > 1 and all(plan == checked.plans[0] for plan in checked.plans):
        raise SpecError(
            f"{', '.join(paths)}: all of these values give the same run; chaoskit validate {file} warns of what is not "
            "used, such as a fault without a phase"
        )
    guest = find(where.kernel) if where.allow_virtual_time else "not asked for"
    is_virtual = [has_virtual_time(plan.needs, guest) and plan.interface is None for plan in checked.plans]
    every = Cell("", file, overrides, options=where.words, text=text)
    cells = [
        PlannedCell(cell, place, seed, Duration(plan.length))
        for place, (point, plan) in enumerate(zip(found.each, checked.plans, strict=True))
        for cell, seed in _cells(replace(every, is_alone=not is_virtual[place]), point, repeats)
    ]
    settings = [text, *words_of(overrides)]
    return SweepPlan(
        file=file,
        text=text,
        name=found.each[0].experiment.name,
        question=found.each[0].experiment.question,
        has_objectives=any(plan.objectives for plan in checked.plans),
        axes=found.axes,
        paths=paths,
        points=found.each,
        cells=tuple(cells),
        memory=largest_guest(checked.plans, where) if any(is_virtual) else None,
        found=checked,
        fingerprint=hashlib.sha256(repr(settings).encode()).hexdigest(),
    )


def _cells(every: Cell, point: Variant, repeats: int) -> Iterator[tuple[Cell, int]]:
    """The repeats of a point, with their seeds; `every` has what all cells have."""
    options = () if isinstance(point.experiment.stage, InterfaceStage) else every.options
    values = {**every.overrides, **point.settings}
    for number in range(repeats):
        seed = (point.experiment.seed + number) % 2**63
        name = point.name if _SEED in point.settings else ",".join(filter(None, (point.name, f"seed={seed}")))
        yield replace(every, name=name, overrides=values, seed=seed, options=options), seed
