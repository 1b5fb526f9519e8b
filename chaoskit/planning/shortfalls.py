"""Finds the objectives that need more streams, or more streaming, than a plan gives them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from chaoskit.intervals import TAIL
from chaoskit.planning.timetable import Supply, Timetable
from chaoskit.spec.objectives import Objective
from chaoskit.spec.sample_size import SampleSize, sample_sizes


@dataclass(frozen=True)
class Shortfall:
    """An objective that gets too little; `given` are the phases that give too little (None: the whole run).

    `tail` is the probability beyond each end of the intervals.
    """

    objective: Objective
    size: SampleSize
    given: tuple[tuple[str | None, Supply], ...]
    tail: float = TAIL

    @property
    def factor(self) -> float:
        """How many times as much it needs."""
        return max(factor(self.size, supply) for _, supply in self.given)

    @property
    def out_of_reach(self) -> dict[str, SampleSize]:
        """What it needs to be `met` and to be `broken`, each only where too little is given for it."""
        sizes = sample_sizes(self.objective, self.tail)
        both = (("met", sizes.to_be_met), ("broken", sizes.to_be_broken))
        return {
            verdict: size
            for verdict, size in both
            if size is not None and not all(is_enough(size, supply) for _, supply in self.given)
        }

    @property
    def is_of_streaming(self) -> bool:
        """Whether they stream for too short a time, however many they are."""
        return any(supply.minutes < self.size.minutes for _, supply in self.given)

    @property
    def is_of_gaps(self) -> bool:
        """Whether they have too few gaps, however many they are."""
        return any(supply.gaps < self.size.gaps for _, supply in self.given)


def shortfalls(objectives: Iterable[Objective], table: Timetable, slack: float = 0.0) -> list[Shortfall]:
    """The objectives that get too little; with `slack`, too little to be on the safe side by this share."""
    found = []
    for objective in objectives:
        size = sample_sizes(objective, table.tail).to_be_decided
        if size is None:
            continue
        more = 1 + slack
        wanted = SampleSize(math.ceil(size.streams * more), size.minutes * more, math.ceil(size.gaps * more))
        if objective.metric == "recovery_time":
            continue  # it is of the requests around its phase: see `plan.decidability`
        names = (objective.phase, *((objective.reference,) if objective.reference else ()))
        share = table.share_of(objective.traffic_class, objective.workflow)
        given = tuple((name, table.gives(objective.metric, name, share)) for name in names)
        if short := tuple(pair for pair in given if not is_enough(wanted, pair[1])):
            found.append(Shortfall(objective, wanted, short, table.tail))
    return found


def is_enough(size: SampleSize, supply: Supply) -> bool:
    """Whether it can be decided."""
    return supply.streams >= size.streams and supply.minutes >= size.minutes and supply.gaps >= size.gaps


def factor(size: SampleSize, supply: Supply) -> float:
    """How many times as much it takes."""
    pairs = ((size.streams, max(1, supply.streams)), (size.minutes, supply.minutes), (size.gaps, supply.gaps))
    return max(needed / given for needed, given in pairs if needed and given)
