"""Finds the hosts that the workflows of a lab's gateways ask, and refuses those that there are not.

A stage without `from` asks the one host of its kind. Nothing may lead back to the gateway that it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from chaoskit.faults.schema import error_at, suggestion
from chaoskit.spec.hosts import TIERS, ServiceHost
from chaoskit.spec.tiers import CACHED, NO_CONTEXT, GatewayHost, Step

_KINDS = {"policy": "policy", "retrieve": "retrieval", "tools": "tool", "generate": "reference"}
_PROGRAMS = ("run", "reference", *TIERS)
_PORTS = range(1, 65536)


@dataclass(frozen=True)
class Place:
    """A host that a stage asks: as it is written, the keys that lead to it from `hosts`, and other words for there."""

    words: str
    stage: str
    keys: tuple[str | int, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """Its name. Raises ValueError for what is no URL."""
        return urlsplit(self.words if "//" in self.words else f"//{self.words}").hostname or ""

    @property
    def is_valid(self) -> bool:
        """Whether it is a name, a name with a port, or a URL of http."""
        try:
            url = urlsplit(self.words if "//" in self.words else f"//{self.words}")
            return url.scheme in ("", "http") and bool(url.hostname) and url.port in (None, *_PORTS)
        except ValueError:
            return False


def asked_hosts(hosts: Mapping[str, ServiceHost], gateway: str, step: Step) -> tuple[str, ...]:
    """What a stage asks: what it names, else what its gateway names, else the one of its kind. Raises `misplaced`."""
    return tuple(each.words for each in _places(hosts, gateway, step, ()))


def check_places(hosts: Mapping[str, ServiceHost]) -> None:
    """Refuse a lab with a stage that asks nobody, an unknown host, or in a circle."""
    calls: dict[str, list[Place]] = {}
    for name, host in hosts.items():
        if host.gateway is not None:
            calls[name] = list(_all_places(hosts, name, host.gateway))
    for place in (each for found in calls.values() for each in found):
        if not place.is_valid:
            raise error_at(f"found {place.words[:60]!r}, expected a host such as model or model:8000", *place.keys)
        known = [each for each in hosts if each != place.keys[1]]
        fitting = [each for each in known if _kind(hosts[each]) in _answering(place.stage)]
        hint = suggestion(place.host, (*fitting, *place.others))
        if place.host not in hosts:
            raise error_at(f"{place.host!r} is no host of this lab; {hint}", *place.keys)
        if (kind := _kind(hosts[place.host])) not in _answering(place.stage):
            wrong = f"{place.host} is a host with {kind}, and {place.stage} asks one with {_KINDS[place.stage]}"
            raise error_at(f"{wrong}; {hint}", *place.keys)
    for name, found in calls.items():
        for place in found:
            if loop := _loop(place.host, calls, (name,)):
                raise error_at(f"a loop: {' -> '.join(loop)}; let one of them ask another host", *place.keys)


def _kind(host: ServiceHost) -> str:
    return next(key for key in _PROGRAMS if getattr(host, key) is not None)


def _answering(stage: str) -> tuple[str, ...]:
    """The kinds of hosts that understand a stage. A gateway answers as a model does, and a program may be anything."""
    return ("run", _KINDS[stage], "gateway") if stage == "generate" else ("run", _KINDS[stage])


def _all_places(hosts: Mapping[str, ServiceHost], name: str, gateway: GatewayHost) -> Iterator[Place]:
    for number, words in enumerate(gateway.model or ()):
        yield Place(words, "generate", ("hosts", name, "gateway", "model", number))
    for workflow, steps in gateway.workflows.items():
        for number, step in enumerate(steps):
            keys = ("hosts", name, "gateway", "workflows", workflow, number)
            yield from _places(hosts, name, step, keys)
            for at, words in enumerate(step.retrieve.fallback if step.retrieve is not None else ()):
                if words not in (CACHED, NO_CONTEXT):
                    yield Place(words, "retrieve", (*keys, "retrieve", "fallback", at), (CACHED, NO_CONTEXT))


def _places(hosts: Mapping[str, ServiceHost], name: str, step: Step, keys: tuple[str | int, ...]) -> Iterator[Place]:
    """The hosts of one stage, and of its fallbacks."""
    gateway = hosts[name].gateway
    assert gateway is not None
    match step:
        case Step(policy=found) if found is not None:
            stage, given = "policy", found.from_
        case Step(retrieve=found) if found is not None:
            stage, given = "retrieve", found.from_
        case Step(tools=found) if found is not None:
            stage, given = "tools", found.from_
        case Step(generate=found) if found is not None:
            stage, given = "generate", found.model or gateway.model
        case _:
            return
    if given is not None:
        for number, words in enumerate(given):
            yield Place(words, stage, (*keys, stage, "model" if stage == "generate" else "from", number))
        return
    kind = _KINDS[stage]
    known = [each for each, host in hosts.items() if getattr(host, kind) is not None]
    if len(known) == 1:
        yield Place(known[0], stage, (*keys, stage))
        return
    key = "model" if stage == "generate" else "from"
    if known:
        raise error_at(f"several hosts have {kind}; say which one: {key}: {known[0]}", *keys, stage)
    raise error_at(f"no host has {kind}; add one, or name a host of yours: {key}: HOST", *keys, stage)


def _loop(host: str, calls: Mapping[str, list[Place]], above: tuple[str, ...]) -> tuple[str, ...]:
    if host in above:
        return (*above[above.index(host) :], host)
    return next(filter(None, (_loop(each.host, calls, (*above, host)) for each in calls.get(host, ()))), ())
