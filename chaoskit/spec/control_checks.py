"""Finds what a file's classes and its gateways' controls ask for and cannot have.

A policy for classes needs classes, a saturation needs a model with metrics, and a class needs somebody who sends it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from chaoskit.spec.classes import TrafficClass
from chaoskit.spec.demand import Workflow
from chaoskit.spec.hosts import ServiceHost
from chaoskit.spec.server import Responses
from chaoskit.spec.tier_places import asked_hosts
from chaoskit.spec.tiers import GatewayHost
from chaoskit.tiers.endpoints import endpoint

Found = tuple[str, tuple[str, ...]]
"""A sentence, and the keys that lead to what it is about."""


def control_errors(
    hosts: Mapping[str, ServiceHost], classes: Mapping[str, TrafficClass], server: Responses
) -> Iterator[Found]:
    """What is wrong with admission and degradation of these hosts; `server` is what `reference: true` stands for."""
    for name, host in hosts.items():
        gateway = host.gateway
        if gateway is None:
            continue
        for sentence, where in gateway.admission.errors(classes):
            yield sentence, ("hosts", name, "gateway", "admission", *where)
        for key, why, remedy in _needs(gateway):
            for model in _without_metrics(hosts, name, gateway, server):
                sentence = f"{why}, and {model} is no engine, which would tell it; write engine: at {model}"
                yield f"{sentence}, or {remedy}", ("hosts", name, "gateway", *key)


def _needs(gateway: GatewayHost) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Each key that looks at the models' metrics, why, and what to write where there are none."""
    admission, ladder = gateway.admission, gateway.degradation
    if admission.policy == "shed":
        yield ("admission", "policy"), "shed goes by the model's saturation", "policy: priority and max-in-flight"
    elif admission.policy in ("fcfs", "priority") and admission.max_in_flight is None:
        why = f"without max-in-flight {admission.policy} goes by the model's saturation"
        yield ("admission", "policy"), why, "max-in-flight"
    if ladder is not None and ladder.signal in ("saturation", "queue"):
        what = "saturation" if ladder.signal == "saturation" else "queue"
        yield ("degradation",), f"it goes by the model's {what}", "signal: first-token"


def _without_metrics(
    hosts: Mapping[str, ServiceHost], name: str, gateway: GatewayHost, server: Responses
) -> Iterator[str]:
    """The reference servers among its models that are no engines; of a program nothing is known."""
    steps = [step for workflow in gateway.workflows for step in gateway.stages(workflow) if step.generate is not None]
    asked = dict.fromkeys(endpoint(place, "/").host for step in steps for place in asked_hosts(hosts, name, step))
    for model in asked:
        host = hosts.get(model)
        if host is None or host.reference is None:
            continue
        responses = host.reference if host.reference.written() else server
        if responses.engine is None:
            yield model


def senders(demand: Mapping[str, Workflow], others: Collection[str | None]) -> set[str] | None:
    """The classes that requests can have, where each workflow of the demand has one; None: any of the file."""
    if not demand or any(each.class_ is None for each in demand.values()):
        return None
    return {name for name in (*others, *(each.class_ for each in demand.values())) if name is not None}
