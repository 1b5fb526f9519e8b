"""Follows a request from the client over the hosts of a lab, by what their configurations call."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from chaoskit.timeouts.timers import Callee, Reading, Route

CLIENT = "client"
_MOST = 200  # chains that are followed


@dataclass(frozen=True)
class Call:
    """A call of one host by another, and the route that has its timers."""

    caller: str
    callee: str
    route: Route


Chain = tuple[Call, ...]


@dataclass(frozen=True)
class Lab:
    """The hosts of a lab with what each waits for; `replicas` are the names that a host has besides its own."""

    readings: Mapping[str, Reading]
    replicas: Mapping[str, str]

    def host(self, name: str) -> str | None:
        """The host of this name; None where the lab has none."""
        plain = name.lower().rstrip(".")
        return plain if plain in self.readings else self.replicas.get(plain)


def chains(lab: Lab, client: Route, path: str) -> tuple[Chain, ...]:
    """Every way of a request for this path from the client on, each up to the last host that is known."""
    found: list[Chain] = []
    for host, port in dict.fromkeys(_called(lab, client.callees)):
        for chain in _onward(lab, (Call(CLIENT, host, client),), port, path):
            if len(found) < _MOST:
                found.append(chain)
    return tuple(found)


def _onward(lab: Lab, chain: Chain, port: int | None, path: str) -> Iterator[Chain]:
    here = chain[-1].callee
    passed = {CLIENT, *(call.callee for call in chain)}
    is_last = True
    for route in lab.readings[here].serving(port, path):
        for host, at in dict.fromkeys(_called(lab, route.callees)):
            if host not in passed:
                is_last = False
                yield from _onward(lab, (*chain, Call(here, host, route)), at, path)
    if is_last:
        yield chain


def _called(lab: Lab, callees: Collection[Callee]) -> Iterator[tuple[str, int | None]]:
    for each in callees:
        host = lab.host(each.host)
        if host is not None:
            yield host, each.port


def strangers(lab: Lab) -> Iterator[tuple[str, Callee]]:
    """Every host that a configuration calls by a name that no host of the lab has, with who calls it."""
    for name, reading in lab.readings.items():
        for route in reading.routes:
            for callee in route.callees:
                is_itself = callee.host == "localhost" or callee.host.startswith("127.") or callee.host == "::1"
                is_address = callee.host.replace(".", "").isdigit() or ":" in callee.host
                if lab.host(callee.host) is None and not is_itself and not is_address:
                    yield name, callee
