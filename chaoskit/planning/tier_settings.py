"""Makes the plain settings of a lab's tiers from their keys in the experiment file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from chaoskit.planning.model import Plan, PlannedHost
from chaoskit.spec.carriage import workflow_header
from chaoskit.spec.hosts import ServiceHost
from chaoskit.spec.tier_places import asked_hosts
from chaoskit.spec.tiers import GatewayHost, Generate, HopTimers, PolicyHost, RetrievalHost, Step, ToolHost
from chaoskit.tiers.endpoints import endpoint
from chaoskit.tiers.settings import (
    Breaker,
    CallTimers,
    Controls,
    Count,
    GatewaySettings,
    GenerateStage,
    PolicySettings,
    PolicyStage,
    RetrievalSettings,
    RetrieveStage,
    Stage,
    TierSettings,
    ToolSettings,
    ToolsStage,
)
from chaoskit.units import Duration


def tier_settings(plan: Plan, host: PlannedHost) -> TierSettings:
    """What the tier on this host does."""
    hosts = {each.group: each.spec for each in plan.hosts}
    match host.spec:
        case ServiceHost(gateway=GatewayHost() as gateway):
            names = {name for each in plan.hosts for name in (each.name, each.group)}
            addresses = {name: plan.topology.resolve(name, plan.ip) for name in sorted(names)}
            controls = _controls(plan, hosts, host.group, gateway)
            found = _gateway(hosts, host.group, gateway, addresses, controls, plan.seed)
            header = workflow_header(plan.workload.carry.workflow)
            return found if header is None else replace(found, workflow_header=header)
        case ServiceHost(policy=PolicyHost() as policy):
            return PolicySettings(policy.latency.settings, plan.seed, policy.denies.fraction, policy.failures.fraction)
        case ServiceHost(retrieval=RetrievalHost() as retrieval):
            return RetrievalSettings(
                latency=retrieval.latency.settings,
                seed=plan.seed,
                per_result=int(retrieval.per_result),
                miss=retrieval.miss.fraction,
                result_size=int(retrieval.result_size),
                shards=retrieval.shards,
                shard_deadline=_ns(retrieval.shard_deadline),
                failures=retrieval.failures.fraction,
            )
        case ServiceHost(tool=ToolHost() as tool):
            return ToolSettings(tool.latency.settings, plan.seed, tool.failures.fraction, int(tool.size))
    raise AssertionError(f"{host.name} is no tier")


def _gateway(
    hosts: Mapping[str, ServiceHost],
    name: str,
    keys: GatewayHost,
    addresses: dict[str, tuple[str, ...]],
    controls: Controls,
    seed: int,
) -> GatewaySettings:
    return GatewaySettings(
        workflows={
            workflow: tuple(_stage(step, asked_hosts(hosts, name, step)) for step in keys.stages(workflow))
            for workflow in keys.workflows
        },
        seed=seed,
        addresses=addresses,
        mid_stream=keys.mid_stream,
        retry_budget=keys.retry_budget.fraction,
        breaker=None if keys.breaker is None else Breaker(keys.breaker.failures, int(keys.breaker.open)),
        controls=controls,
    )


def _controls(plan: Plan, hosts: Mapping[str, ServiceHost], name: str, keys: GatewayHost) -> Controls:
    """Whom a gateway admits. It reads the metrics of every replica of the models that its workflows ask."""
    steps = [step for workflow in keys.workflows for step in keys.stages(workflow) if step.generate is not None]
    asked = {place for step in steps for place in asked_hosts(hosts, name, step)}
    return Controls(
        admission=keys.admission.settings(plan.classes),
        ladder=None if keys.degradation is None else keys.degradation.settings,
        carriage=plan.workload.carry.class_place.carriage(plan.classes) if plan.classes else None,
        models=tuple(where for place in sorted(asked) for where in _replicas(plan, place)),
        tells_priority=keys.admission.tells_priority,
    )


def _replicas(plan: Plan, place: str) -> Iterator[str]:
    """Each host that a place leads to, with its port."""
    found = endpoint(place, "/")
    for host in plan.hosts:
        if found.host in (host.name, host.group):
            yield f"{host.name}:{found.port}"


def _stage(step: Step, hosts: tuple[str, ...]) -> Stage:
    if step.policy is not None:
        return PolicyStage(hosts, _timers(step.policy), step.policy.fallback == "allow")
    if step.retrieve is not None:
        return RetrieveStage(hosts, step.retrieve.k, _timers(step.retrieve), step.retrieve.fallback)
    if step.tools is not None:
        calls = Count(step.tools.calls.p50, step.tools.calls.p95)
        timers = _timers(step.tools)
        return ToolsStage(hosts, calls, step.tools.parallel, step.tools.tolerant, timers, step.tools.protocol)
    assert step.generate is not None, "a workflow within another is its stages"
    generate = step.generate
    return GenerateStage(hosts, _timers(generate), generate.max_tokens, generate.model_name)


def _timers(keys: HopTimers) -> CallTimers:
    return CallTimers(
        deadline=_ns(keys.deadline),
        connect=_ns(keys.connect),
        per_try=_ns(keys.per_try),
        idle=_ns(keys.idle) if isinstance(keys, Generate) else None,
        retries=keys.retries,
        backoff=int(keys.backoff or 0),
        hedge_after=_ns(keys.hedge_after),
    )


def _ns(span: Duration | None) -> int | None:
    return None if span is None else int(span)
