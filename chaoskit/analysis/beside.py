"""Puts the results of a run's other workloads beside that of the measured one.

Their objectives count as the run's own: the verdict is the worst of all.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.analysis.result import OtherWorkloadResult, Outcome, Result
from chaoskit.planning.model import PlannedWorkload
from chaoskit.spec.endpoint import redacted

_WORST_FIRST = ("broken", "undecided", "met", "none")


def with_workloads(found: Result, others: Sequence[tuple[PlannedWorkload, Result]]) -> Result:
    """The result with these workloads, and with the verdict on all objectives."""
    judged = [(other.name, result.outcome) for other, result in others if result.objectives]
    verdicts = [found.outcome, *(_named(name, outcome) for name, outcome in judged)]
    if not found.objectives and judged and found.outcome.verdict == "none":
        verdicts = verdicts[1:]
    worst = min(verdicts, key=lambda outcome: _WORST_FIRST.index(outcome.verdict))
    return found.model_copy(
        update={
            "outcome": worst,
            "workloads": tuple(
                OtherWorkloadResult(
                    name=other.name,
                    target=redacted(other.target),
                    phases=result.phases,
                    objectives=result.objectives,
                    overloaded=result.health.overloaded,
                )
                for other, result in others
            ),
        }
    )


def _named(name: str, outcome: Outcome) -> Outcome:
    return outcome.model_copy(update={"reason": f"{name}: {outcome.reason}"})
