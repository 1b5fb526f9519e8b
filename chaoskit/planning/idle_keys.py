"""Finds keys of gateways that change nothing beside the others, though somebody expects it.

Keys beside one that a matrix varies are left alone: they are for its other variants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chaoskit.spec.admission import AdmissionKeys, StepKeys
from chaoskit.spec.hosts import ServiceHost
from chaoskit.spec.key_lines import KeyLines, Keys
from chaoskit.spec.tiers import GatewayHost, HopTimers, Step
from chaoskit.tiers.admission import QUEUES, Policy

_READ_BY: Mapping[str, tuple[Policy, ...]] = {
    "max_in_flight": QUEUES,
    "max_queue": QUEUES,
    "ttl": QUEUES,
    "thresholds": ("shed", "gradient"),
    "limiter": ("gradient",),
}
"""Keys of admission, and the policies that look at them."""


def idle_keys(hosts: Mapping[str, ServiceHost], lines: KeyLines) -> Iterator[str]:
    """What is said of the keys of these hosts' gateways."""
    for name, host in hosts.items():
        if host.gateway is None:
            continue
        keys: Keys = ("stage", "hosts", name, "gateway")
        if not lines.varies((*keys, "admission")):
            yield from _of_admission(name, host.gateway.admission, keys, lines)
        if not lines.varies((*keys, "workflows")):
            yield from _of_timers(name, host.gateway, keys, lines)
            if not lines.varies((*keys, "degradation")):
                yield from _of_steps(name, host.gateway, keys, lines)


def _of_admission(name: str, admission: AdmissionKeys, keys: Keys, lines: KeyLines) -> Iterator[str]:
    for key, policies in _READ_BY.items():
        if key in admission.model_fields_set and admission.policy not in policies:
            word = key.replace("_", "-")
            place = lines.place((*keys, "admission"), word)
            yield (
                f"{name}: {word} does nothing with policy: {admission.policy} ({place}); "
                f"write policy: {' or '.join(policies)}, or remove it"
            )


def _of_steps(name: str, gateway: GatewayHost, keys: Keys, lines: KeyLines) -> Iterator[str]:
    """Steps of the ladder that no workflow can take."""
    stages = [stage for workflow in gateway.workflows for stage in gateway.stages(workflow)]
    for number, step in enumerate(gateway.degradation.steps if gateway.degradation is not None else ()):
        if why := _why_idle(step, stages):
            ladder: Keys = (*keys, "degradation")
            place = lines.find((*ladder, "steps", number)) or lines.place((*ladder, number))  # in short: the list alone
            yield f"{name}: the step {step.name} does nothing, for {why} ({place}); remove it"


def _why_idle(step: StepKeys, stages: list[Step]) -> str:
    if step.name == "breadth" and all(each.retrieve is None for each in stages):
        return "no workflow retrieves"
    if step.name == "single-tool" and all(each.tools is None for each in stages):
        return "no workflow has tools"
    if step.name == "single-tool" and all(each.tools is None or each.tools.calls.p95 == 1 for each in stages):
        return "no workflow calls more than one tool"
    return ""


def _of_timers(name: str, gateway: GatewayHost, keys: Keys, lines: KeyLines) -> Iterator[str]:
    """A wait before retries that there are not."""
    for workflow, steps in gateway.workflows.items():
        for number, step in enumerate(steps):
            for key in ("policy", "retrieve", "tools", "generate"):
                timers: HopTimers | None = getattr(step, key)
                if timers is not None and timers.backoff and not timers.retries:
                    place = lines.place((*keys, "workflows", workflow, number, key), "backoff")
                    yield f"{name}: backoff does nothing without retries ({place}); write retries: 1, or remove it"
