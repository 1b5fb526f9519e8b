"""Says of a run whether its objectives held, by what it measured.

Rules: a run held where the measured value of every objective is on the good side of its bound, and broke where one is
not. More is not asked of a single run: near the limit most of them are undecided by themselves, and it is the search
that is sure, by many. A run has no outcome where it measured nothing that counts: an objective has no value, the fault
did not come about as requested, or the client was too slow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from chaoskit.analysis.result import ObjectiveResult, Result
from chaoskit.analysis.result_file import read_result
from chaoskit.analysis.streams.goodput import OPERATORS
from chaoskit.errors import SpecError
from chaoskit.spec.objectives import parse


@dataclass(frozen=True)
class RunOutcome:
    """`held` is None where there is no outcome, and `why` says the reason. `broken`: the objectives that did not hold.

    `round_trip_ms`: the median time of a TCP handshake while a fault was in force, where connections were made.
    """

    held: bool | None
    broken: tuple[str, ...] = ()
    why: str = ""
    round_trip_ms: float | None = None
    requests: int = 0


def read_outcome(run: Path) -> RunOutcome:
    """That of the run in this directory; none where its result is missing or damaged."""
    try:
        result = read_result(run)
    except SpecError as error:
        return RunOutcome(None, why=str(error))
    return replace(outcome_of(result), round_trip_ms=_round_trip(result), requests=result.overall.started)


def outcome_of(result: Result) -> RunOutcome:
    """That of a run which ended by itself."""
    everything = [*result.objectives, *(each for other in result.workloads for each in other.objectives)]
    if not everything:
        return RunOutcome(None, why="it has no objective")
    if result.health.overloaded or any(other.overloaded for other in result.workloads):
        return RunOutcome(None, why=result.outcome.reason or "the client was too slow")
    if any(check.verdict == "not-achieved" for check in result.fidelity):
        return RunOutcome(None, why=result.outcome.reason or "the fault did not come about as requested")
    held = {each.text: _held(each) for each in everything}
    broken = tuple(text for text, holds in held.items() if holds is False)
    if not broken and None in held.values():
        why = next(each.reason for each in everything if _held(each) is None)
        return RunOutcome(None, why=why)
    return RunOutcome(not broken, broken)


def _held(objective: ObjectiveResult) -> bool | None:
    """Whether its measured value is on the good side; None without a value."""
    if objective.verdict != "undecided":
        return objective.verdict == "met"
    if objective.observed.value is None:
        return None
    return OPERATORS[parse(objective.text).operator](objective.observed.value, objective.bound)


def _round_trip(result: Result) -> float | None:
    found = [phase.metrics.connect.p50_ms for phase in result.phases if phase.faults]
    values = [each for each in found if each is not None]
    return median(values) if values else None
