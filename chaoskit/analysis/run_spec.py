"""Says what a run is judged by, and what is special about it: from its plan, or that of a probe."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.analysis.attribution.run_evidence import SINGLE_PHASE
from chaoskit.intervals import TAIL
from chaoskit.planning.model import Plan
from chaoskit.planning.probe_plan import ProbePlan
from chaoskit.spec.endpoint import redacted
from chaoskit.spec.objectives import Objective
from chaoskit.spec.workload import Workload


@dataclass(frozen=True)
class RunSpec:
    """What a run is judged by: from its plan, or that of a probe; nothing for records without either.

    `tail` is the probability beyond each end of its intervals.
    """

    objectives: tuple[Objective, ...] = ()
    workload: Workload | None = None
    name: str = "probe"
    question: str = ""
    target: str = ""
    seed: int = 0
    reference: str = SINGLE_PHASE
    model: str | None = None
    protocol: str | None = None
    conditions: tuple[str, ...] = ()
    tail: float = TAIL


def spec_of(plan: Plan | ProbePlan | None) -> RunSpec:
    """That of this plan, if there is one."""
    if plan is None:
        return RunSpec()
    if isinstance(plan, ProbePlan):
        socket = (f"over the Unix socket {plan.uds}",) if plan.uds else ()
        processes = (f"from {plan.processes} processes",) if plan.processes > 1 else ()
        return RunSpec(
            plan.objectives,
            plan.workload,
            target=plan.url,
            seed=plan.seed,
            model=None if plan.workload.protocol == "sse" else plan.model,  # its path says what is asked
            protocol=_protocol(plan.workload),
            conditions=(*socket, *plan.access.conditions(plan.url), *processes),
        )
    access = plan.interface.access if plan.interface is not None else plan.access
    return RunSpec(
        objectives=plan.objectives,
        workload=plan.workload,
        name=plan.name,
        question=plan.question,
        target=redacted(plan.target),
        seed=plan.seed,
        reference=plan.reference,
        tail=plan.tail,
        model=access.model or None,
        protocol=_protocol(plan.workload),
        conditions=(*access.conditions(plan.target), *filter(None, [plan.interleaved])),
    )


def _protocol(work: Workload) -> str:
    return f"{work.protocol} over HTTP/{work.http}"


def of_programs(plan: Plan | ProbePlan | None, clock: str) -> tuple[str, ...]:
    """What virtual time cannot show of users' programs."""
    if not isinstance(plan, Plan) or clock != "virtual" or all(host.spec.run is None for host in plan.hosts):
        return ()
    return ("in virtual time computing takes no time: a program that its processor slows down looks fast",)
