"""Says in a few words who asks a gateway, what it does for them, and whom it lets in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chaoskit.planning.model import Plan
from chaoskit.spec.admission import AdmissionKeys, DegradationKeys, StepKeys
from chaoskit.spec.classes import TrafficClass
from chaoskit.spec.hosts import ServiceHost
from chaoskit.spec.tier_places import asked_hosts
from chaoskit.spec.tiers import Step

_SAMPLED = {"answer": "whole answers", "first-token": "first tokens"}


def classes(plan: Plan) -> Iterator[str]:
    """`20% premium, priority 2`, a line for each."""
    for name, each in plan.classes.items():
        yield f"{each.share} {name}, priority {each.priority}{''.join(f', {word}' for word in _of_class(each))}"


def controls(plan: Plan, host: ServiceHost, name: str) -> Iterator[str]:
    """What a host does as a gateway: its workflows, its admission, its ladder. No lines for another one."""
    keys = host.gateway
    if keys is None:
        return
    hosts = {each.group: each.spec for each in plan.hosts}
    for workflow in keys.workflows:
        yield f"{workflow}: {', '.join(_stage(hosts, name, step) for step in keys.stages(workflow))}"
    yield from _admission(keys.admission, plan.classes)
    if keys.degradation is not None:
        yield _ladder(keys.degradation)


def _of_class(each: TrafficClass) -> Iterator[str]:
    if each.budget is not None:
        yield f"at most {each.budget} at a time"
    if each.sent_as is not None:
        yield f"sent as {each.sent_as}"


def _stage(hosts: Mapping[str, ServiceHost], gateway: str, step: Step) -> str:
    kind = next(key for key in ("policy", "retrieve", "tools", "generate") if getattr(step, key) is not None)
    way = {"retrieve": "from"}.get(kind, "at")
    return f"{kind} {way} {', '.join(asked_hosts(hosts, gateway, step))}"


def _admission(keys: AdmissionKeys, known: Mapping[str, TrafficClass]) -> Iterator[str]:
    """Its policy with what that looks at."""
    if keys.policy == "none":
        return
    if keys.policy == "gradient":
        limiter = keys.limiter
        how = f"{limiter.name}, by {_SAMPLED[limiter.sampled]}, {limiter.least} to {limiter.most} at a time"
        yield f"admits by gradient: {how}"
        return
    room = "the model's saturation is below 1"
    if keys.max_in_flight is not None:
        room = f"fewer than {keys.max_in_flight} run"
    told = [f"room while {room}", f"at most {keys.max_queue} wait, for {keys.ttl}"]
    if keys.policy == "shed":
        levels = keys.settings(known).thresholds
        told.append(", ".join(f"{name} shed from saturation {level:g} on" for name, level in levels.items()))
    yield f"admits by {keys.policy}: {'; '.join(told)}"


def _ladder(keys: DegradationKeys) -> str:
    if keys.signal == "none":
        return "degrades never (signal: none)"
    steps = ", ".join(f"{_measure(step)} at {step.at} (release {step.release})" for step in keys.steps)
    return f"degrades by {keys.signal}: {steps}; hold {keys.hold}"


def _measure(step: StepKeys) -> str:
    if step.breadth is not None:
        return f"breadth {step.breadth}"
    return "one tool" if step.plan is not None else f"max-tokens {step.max_tokens}"
