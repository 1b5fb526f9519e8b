"""Finds what in a workload's demand does not fit the stage, the classes or the timeline of its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic_core import PydanticCustomError

from chaoskit.faults.schema import error_at, suggestion
from chaoskit.spec.carriage import workflow_header
from chaoskit.spec.multiple import shown
from chaoskit.spec.phases import Span
from chaoskit.spec.stage import EdgeStage, ServiceStage, Stage
from chaoskit.spec.workload import MOST_PER_SECOND, Workload

_CARRIED = ("workload", "carry", "workflow")


def demand_mismatches(
    work: Workload, stage: Stage, timeline: Sequence[Span], has_classes: bool
) -> Iterator[PydanticCustomError]:
    """An error for each."""
    yield from _of_carriage(work, stage, has_classes)
    if isinstance(stage, ServiceStage):
        yield from _of_gateway(work, stage)
    for index, span in enumerate(timeline):
        if sentence := _of_phase(span, work):
            yield error_at(sentence, "timeline", index)


def _of_carriage(work: Workload, stage: Stage, has_classes: bool) -> Iterator[PydanticCustomError]:
    carry = work.carry
    if "workflow" in carry.model_fields_set and not work.demand:
        yield error_at("no workflows in this file; write demand: in workload, or remove it", *_CARRIED)
    headers = {} if isinstance(stage, EdgeStage) else stage.headers
    taken = [*map(str.lower, headers), *([carry.class_place.name] if has_classes else [])]
    if (header := workflow_header(carry.workflow)) in taken:
        yield error_at(f"the header {header} says something else as well; choose another one", *_CARRIED)


def _of_gateway(work: Workload, stage: ServiceStage) -> Iterator[PydanticCustomError]:
    """The reference gateway knows its workflows, and takes any other name for the first of them."""
    host = stage.hosts.get(stage.target_host)
    known = host.gateway.workflows if host is not None and host.gateway is not None else None
    if known is None or work.carry.workflow == "none":
        return
    for name, each in work.demand.items():
        if name not in known:
            sentence = f"{stage.target_host} has no workflow {name!r}; {suggestion(name, known)}"
            yield error_at(sentence, "workload", "demand", name)
        elif each.model is not None and work.carry.workflow == "model":
            sentence = "the gateway knows the workflow by the model's name; write carry: {workflow: header x-workflow}"
            yield error_at(f"{sentence}, or remove model", "workload", "demand", name, "model")


def _of_phase(span: Span, work: Workload) -> str | None:
    """What is wrong with a phase's demand; None: nothing."""
    rate = work.request_rate
    if span.demand != 1 and not work.is_open_loop:
        return (
            f"demand: {shown(span.demand)} multiplies a rate, and the workload has max-concurrency: "
            f"{work.max_concurrency}, so many streams at any time; write a request-rate there"
        )
    if rate is not None and rate.per_second * span.demand > MOST_PER_SECOND:
        return f"{shown(span.demand)} of {rate} is more than the maximum, {MOST_PER_SECOND}/s; lower one"
    return None
