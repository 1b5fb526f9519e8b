"""Finds verdicts that flap: different ones of the same experiment file at the same commit.

Rules: what has no commit, or had changes that are in no commit, is not known to be the same, and is left out; so are
runs that did not come to their end. Versions of chaoskit and of the kernel, and the clock, are the same in a group.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaoskit.analysis.trends.points import PastRun


@dataclass(frozen=True)
class Flapping:
    """A group of runs that should have had one verdict; `verdicts` counts each that it had."""

    newest: PastRun
    verdicts: dict[str, int]

    @property
    def runs(self) -> int:
        """How many runs there are in the group."""
        return sum(self.verdicts.values())


def flapping(runs: Iterable[PastRun]) -> tuple[Flapping, ...]:
    """The groups with more than one verdict, in the order of their newest runs. `runs` are in the order of time."""
    groups: dict[tuple[str, ...], list[PastRun]] = defaultdict(list)
    for run in runs:
        if is_comparable(run):
            groups[run.experiment, run.name, run.commit, run.chaoskit, run.kernel, run.clock].append(run)
    found = [Flapping(group[-1], _verdicts(group)) for group in groups.values()]
    return tuple(sorted((each for each in found if len(each.verdicts) > 1), key=lambda each: each.newest.started))


def is_comparable(run: PastRun) -> bool:
    """Whether another run of its commit should have its verdict."""
    return bool(run.commit) and run.is_dirty is False and run.status == "finished"


def _verdicts(group: Sequence[PastRun]) -> dict[str, int]:
    return dict(Counter(each.verdict for each in group).most_common())
