"""Plans which ports of a lab's hosts are reachable from this machine. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from chaoskit.errors import SpecError
from chaoskit.planning.exec import check_place
from chaoskit.planning.model import Plan

_OPTION, _SHAPE = "--publish", "HOST:PORT or HOST:PORT:LOCALPORT, as in gateway:8080"
_LAST_PORT = 65535
_OF_SCHEME = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Published:
    """A port of a host; `addresses` are the host's. `local` is the port here that was asked for; None: any."""

    host: str
    port: int
    addresses: tuple[str, ...]
    local: int | None = None


def published(plan: Plan, asked: Iterable[str]) -> tuple[Published, ...]:
    """What the options name; the port of the target if there are none. Raises SpecError."""
    found = tuple(_parse(plan, text) for text in asked)
    local = [each.local for each in found if each.local is not None]
    if twice := [port for port in local if local.count(port) > 1]:
        raise SpecError(f"{_OPTION}: the local port {twice[0]} is given twice; remove one, or its LOCALPORT")
    return found or (_target(plan),)


def _target(plan: Plan) -> Published:
    url = urlsplit(plan.target)
    name, topology = url.hostname or "", plan.topology
    hosts = [each.host for each in topology.attachments if name in {net.host for net in each.nets.values()}]
    return _of(plan, hosts[0] if hosts else name, url.port or _OF_SCHEME[url.scheme])


def _parse(plan: Plan, text: str) -> Published:
    host, *ports = text.split(":")
    if len(ports) not in (1, 2) or not all(map(_is_port, ports)):
        raise SpecError(f"{_OPTION}: {text!r} is not {_SHAPE}")
    if host not in plan.topology.groups:
        check_place(plan, host, _OPTION)
    if host in plan.topology.routers:
        raise SpecError(f"{_OPTION}: {host} is a router, on which nothing listens; name a host")
    return _of(plan, host, *map(int, ports))


def _of(plan: Plan, host: str, port: int, local: int | None = None) -> Published:
    other = 10 - plan.ip
    return Published(host, port, plan.topology.resolve(host, plan.ip) + plan.topology.resolve(host, other), local)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= _LAST_PORT
