"""Prepares an examination from the options of a command: address, route, privileges."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from chaoskit.clock import Clock, RealClock
from chaoskit.errors import RefusedError, SpecError
from chaoskit.kernel.host_lookups import resolve
from chaoskit.kernel.route_lookup import first_hop
from chaoskit.pathmtu.error_queue import ErrorQueueSocket
from chaoskit.pathmtu.examination import Findings, Setup, examine
from chaoskit.pathmtu.probes import Burst, Endpoints
from chaoskit.pathmtu.transport import Budget, ProbeSocket
from chaoskit.units import Duration

PACKETS = 120  # enough for the worst path in the tests
_LEAST, _MOST = 20, 10_000
_SHORTEST, _LONGEST = Duration.parse("1s"), Duration.parse("1h")
_PORT = 443  # for the MSS in its SYN-ACK, if no port is given


@dataclass(frozen=True)
class Examination:
    """Everything that an examination needs."""

    setup: Setup
    packets: int
    time: Duration

    def run(self, on_send: Callable[[Burst], None], clock: Clock | None = None) -> Findings:
        """Run it, with raw sockets if permitted. Raises RefusedError."""
        clock = clock or RealClock()
        with ExitStack() as stack:
            return examine(
                self.setup, self._socket(clock, stack), Budget(self.packets, clock.now() + self.time), clock, on_send
            )

    def _socket(self, clock: Clock, stack: ExitStack) -> ProbeSocket:
        if not _may_send_raw():
            return stack.enter_context(ErrorQueueSocket(self.setup.endpoints, clock))
        from chaoskit.pathmtu.raw_sockets import (
            RawProbeSocket,  # not at the top: it loads scapy, which reads files of its user
        )

        return stack.enter_context(RawProbeSocket(self.setup.endpoints, os.getpid(), clock))


def _may_send_raw() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).close()
    except PermissionError:
        return False
    return True


def prepare(host: str, port: int | None, ip: str | None, packets: int, time: str) -> Examination:
    """Resolve address and route. Raises SpecError for invalid options, RefusedError without address or route."""
    if not _LEAST <= packets <= _MOST:
        raise SpecError(
            f"--max-packets: {packets} is out of bounds; {_LEAST} to {_MOST}, and {PACKETS} are enough for most paths"
        )
    try:
        limit = Duration.parse(time)
    except ValueError as error:
        raise SpecError(f"--max-time: {error}") from None
    if not _SHORTEST <= limit <= _LONGEST:
        raise SpecError(f"--max-time: {limit} is out of bounds; 1s to 1h, and 30s are enough for most paths")
    target = _address(host, _version(ip))
    if ":" in target and ip_address(target).is_link_local:
        raise SpecError(f"{target} is link-local, so its path is one link: give an address that routers forward")
    first = first_hop(target)
    if first.is_local:
        raise SpecError(f"{host} is this machine itself, which has no path: give another host")
    version: Literal[4, 6] = 6 if ":" in target else 4
    endpoints = Endpoints(version, first.source, target, port or _PORT)
    return Examination(Setup(host, endpoints, first, may_send_body=port is not None), packets, limit)


def _version(ip: str | None) -> int | None:
    match ip:
        case None:
            return None
        case "4" | "6":
            return int(ip)
        case _:
            raise SpecError(f"--ip: found {ip!r}, expected 4 or 6")


def _address(host: str, version: int | None) -> str:
    """The first address of the host of this IP version; None: the first in the resolver's order."""
    addresses = resolve(host)
    for address in addresses:
        if version in (None, ip_address(address).version):
            return address
    other = 10 - (version or 4)
    raise RefusedError(f"{host} has no IPv{version} address, only {', '.join(addresses)}: try --ip {other}")
