"""Tells the timers of a lab's gateways as those of proxies, and finds fallbacks that come too late."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaoskit.spec.hosts import ServiceHost
from chaoskit.spec.key_lines import KeyLines, Keys
from chaoskit.spec.tier_places import Place, asked_hosts
from chaoskit.spec.tiers import CACHED, NO_CONTEXT, GatewayHost, Generate, HopTimers, Retrieve, Step
from chaoskit.timeouts.chain import Chain
from chaoskit.timeouts.lint import Answer
from chaoskit.timeouts.timers import Callee, Kind, Reading, Retries, Route, Timer, mended
from chaoskit.units import Duration, counted

_WAITS: dict[str, Kind] = {"connect": "connect", "per_try": "first-byte", "deadline": "total"}
_NOTHING, _STEP = Duration(0), 10**8  # ns; what is advised is a multiple


@dataclass(frozen=True)
class GatewayKeys:
    """A gateway of a lab: all `hosts`, its name and keys, and where those stand."""

    hosts: Mapping[str, ServiceHost]
    name: str
    gateway: GatewayHost
    lines: KeyLines


@dataclass(frozen=True)
class _Stage:
    """A stage of a workflow: its keys, and where they stand."""

    keys: Keys
    lines: KeyLines
    host: str

    @property
    def place(self) -> str:
        """Of the stage: FILE:LINE, or the keys that lead to it."""
        words = f"workflows.{'.'.join(map(str, self.keys[-3:]))} of {self.host}"
        return self.lines.find(self.keys) or self.lines.find(self.keys[:-1]) or words

    def of(self, key: str) -> str:
        """Of a key of it; of the stage where it has none."""
        return self.lines.find((*self.keys, key)) or self.place


def gateway_reading(keys: GatewayKeys) -> Reading:
    """What a gateway waits for: one route for each stage, or host of a stage, that it takes in turn."""
    return Reading("", (), tuple(route for _, _, route in _routes(keys)), in_turn=True)


def tier_answer(host: ServiceHost) -> Answer | None:
    """What half of a tier's answers take; None for what is no policy, retrieval or tool host."""
    tier = host.policy or host.retrieval or host.tool
    if tier is None:
        return None
    median, says = tier.latency.median, f"latency median {tier.latency.median}"
    return Answer(median, says, _NOTHING, "", median, says)


def late_fallbacks(hosts: Mapping[str, ServiceHost], found: Sequence[Chain], lines: KeyLines) -> Iterator[str]:
    """Retrievals whose fallback comes when nobody waits any more, or that nothing ends."""
    for name, host in hosts.items():
        if host.gateway is None:
            continue
        above = next((call for chain in found for call in chain if call.callee == name), None)
        patience = above.route.first_wait if above is not None else None
        for step, stage, route in _routes(GatewayKeys(hosts, name, host.gateway, lines)):
            if step.retrieve is None or not step.retrieve.fallback:
                continue
            begun = f"{name} falls back on {step.retrieve.fallback[0]}"
            wait = route.first_wait
            if wait is None:
                asked = route.callees[0].host
                mend = mended("deadline: 1s", stage.of("deadline"))
                yield f"{begun} when {asked} fails, but nothing ends a retrieval that hangs; {mend}"
            elif above is not None and patience is not None and route.whole(wait) >= (patience.value or 0):
                yield (
                    f"{begun} after {route.whole(wait)} ({wait.source}), and {above.caller} waits {patience.value} for "
                    f"{name} ({patience.source}): the fallback is never reached in time; "
                    + mended(f"deadline: {_a_third(patience.value or _NOTHING)}", stage.of("deadline"))
                )


def _routes(gateway: GatewayKeys) -> Iterator[tuple[Step, _Stage, Route]]:
    """Each stage with the place where it stands, and its route."""
    name = gateway.name
    for workflow, steps in gateway.gateway.workflows.items():
        for number, step in enumerate(steps):
            kind, timers = _timed(step)
            if timers is None:
                continue
            keys = ("stage", "hosts", name, "gateway", "workflows", workflow, number, kind)
            stage = _Stage(keys, gateway.lines, name)
            asked = asked_hosts(gateway.hosts, name, step)
            callees = tuple(Callee(Place(each, kind).host, None, stage.place) for each in asked)
            yield step, stage, _route(step, timers, callees, stage)


def _timed(step: Step) -> tuple[str, HopTimers | None]:
    for stage in ("policy", "retrieve", "tools", "generate"):
        found = getattr(step, stage)
        if found is not None:
            return stage, found
    return "workflow", None


def _route(step: Step, timers: HopTimers, callees: tuple[Callee, ...], stage: _Stage) -> Route:
    found = [
        Timer(kind, value, name, stage.of(name), f"{name}: {{}}", step=_STEP)
        for key, kind in _WAITS.items()
        for name in [key.replace("_", "-")]
        if (value := getattr(timers, key)) is not None and (key != "connect" or key in timers.model_fields_set)
    ]
    if isinstance(timers, Generate) and timers.idle is not None:
        found.append(Timer("gap", timers.idle, "idle", stage.of("idle"), "idle: {}", step=_STEP))
    return Route(callees, tuple(found), retries=_repeats(step, timers, stage))


def _repeats(step: Step, timers: HopTimers, stage: _Stage) -> Retries:
    """How often a wait may happen in a row: retries of an attempt, calls of tools, hosts to fall back on."""
    if step.tools is not None and not step.tools.parallel and step.tools.calls.p95 > 1:
        name = f"{counted(step.tools.calls.p95, 'call')} in sequence, p95"
        return Retries(step.tools.calls.p95 - 1, frozenset({"total"}), name, stage.of("calls"))
    others = [each for each in _fallbacks(step.retrieve) if each not in (CACHED, NO_CONTEXT)]
    if others:
        hosts = tuple(Place(each, "retrieve").host for each in others)
        return Retries(len(others), frozenset({"total"}), "fallback", stage.of("fallback"), others=hosts)
    return Retries(timers.retries, frozenset({"connect", "first-byte"}), "retries", stage.of("retries"))


def _fallbacks(stage: Retrieve | None) -> tuple[str, ...]:
    return () if stage is None else stage.fallback


def _a_third(span: Duration) -> Duration:
    """In whole steps, but for a short one."""
    return Duration(span // 3 // _STEP * _STEP or span // 3)
