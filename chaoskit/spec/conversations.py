"""Numbers the conversations of a workload and their questions, and says what each one is for.

A question's number decides its prompt and its tokens, a conversation's number its workflow: so a drive that is shared
among processes asks the same as that of one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from chaoskit import seed as seeds
from chaoskit.spec.workload import Workload
from chaoskit.units import Share


@dataclass(frozen=True)
class Opening:
    """A conversation: its number, that of its first question, how many it has, and its workflow."""

    number: int
    first: int
    turns: int
    workflow: str | None = None


def openings(workload: Workload, seed: int, requests: int | None = None) -> Iterator[Opening]:
    """As many as give all requests, the last with what is left of them; None: without end."""
    first, turns_of = 0, {name: workload.of(name).turns for name in workload.demand}
    for number in itertools.count():
        if requests is not None and first >= requests:
            return
        workflow = workflow_of(workload, seed, number)
        turns = workload.turns if workflow is None else turns_of[workflow]
        yield Opening(number, first, turns if requests is None else min(turns, requests - first), workflow)
        first += turns


def workflow_of(workload: Workload, seed: int, number: int) -> str | None:
    """What the conversation of this number is for; None where there is one kind."""
    if not workload.demand:
        return None
    place = seeds.source(seed, "workflow", number).randrange(Share.largest)
    shares = itertools.accumulate(each.share for each in workload.demand.values())
    return next(name for name, end in zip(workload.demand, shares, strict=True) if place < end)
