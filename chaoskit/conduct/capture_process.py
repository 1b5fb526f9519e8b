"""Captures the headers of the target's packets beside a run, in a process of its own.

Rules: the sockets are made here, in the client's namespace and those of a lab's routers, so that no packet is missed
and a missing right is told before anything is sent; they capture the target's addresses and ports only, as they are
when they are made, those of the proxy where there is one; the process dies with this one, and what it wrote until then
can be read. A router's packets are captured where they come in, before any fault, and where they leave, behind it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from chaoskit.clock import Clock, RealClock
from chaoskit.conduct import signals
from chaoskit.conduct.probes import target_of
from chaoskit.conduct.worker import Work, Worker
from chaoskit.errors import RefusedError, SpecError
from chaoskit.evidence.packet_capture import CaptureFile, capture
from chaoskit.kernel.capture_filter import MOST_ENDPOINTS, Endpoint
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.packet_ring import PacketRing, link_names
from chaoskit.kernel.rights import require_net_raw
from chaoskit.planning.model import Plan
from chaoskit.probe.target import Target
from chaoskit.records.pcapng import capture_name

_PORTS = {"https": 443}
_RING = 32  # blocks of 256 KiB: a third of a second of 150,000 packets/s
Inside = Callable[[], AbstractContextManager[None]]
"""Enters a namespace for the duration of a `with`."""


@dataclass(frozen=True)
class CapturePoint:
    """Where connections to these endpoints are captured: in the client's namespace, or in that of a router."""

    endpoints: Sequence[Endpoint]
    inside: Inside
    router: str = ""


@dataclass(frozen=True)
class _Ring:
    packets: PacketRing
    link_name: Callable[[int], str]
    file: str


@dataclass
class CaptureProcess:
    """The process of a capture; a context manager. Without endpoints there is none.

    Where this kernel does not allow a capture, there is none of that point: once it is entered, `missing` says why, by
    router; "" is the client's namespace.
    """

    run: Path
    points: Sequence[CapturePoint]
    clock: Clock
    missing: dict[str, str] = field(default_factory=dict, init=False)
    _worker: Worker | None = field(default=None, init=False)

    def __enter__(self) -> CaptureProcess:
        with ExitStack() as opened:
            rings = [ring for point in self.points if point.endpoints and (ring := self._open(point, opened))]
            if rings:
                self._worker = Worker("capture of packets", self.points[0].inside(), self._work(rings))
        return self  # the rings are closed here; the process has its own

    def _open(self, point: CapturePoint, opened: ExitStack) -> _Ring | None:
        try:
            with point.inside():
                packets, name = PacketRing(point.endpoints, _RING), link_names()
        except RefusedError as error:
            self.missing[point.router] = str(error)
            return None
        opened.callback(packets.close)
        return _Ring(packets, name, capture_name(point.router))

    def check(self) -> None:
        """Raises what ended it early."""
        if self._worker is not None and not self._worker.is_alive:
            raise RefusedError("the capture of packets ended early; this is a mistake in chaoskit")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            with signals.held():
                self._worker.stop(self.clock)

    def _work(self, rings: Sequence[_Ring]) -> Work:
        async def work(stop: asyncio.Event) -> None:
            with ExitStack() as opened:
                files = [CaptureFile(self.run / ring.file, self.clock, ring.link_name) for ring in rings]
                for file in files:
                    opened.callback(file.close)
                await asyncio.gather(
                    *(capture(ring.packets, file, stop) for ring, file in zip(rings, files, strict=True))
                )

        return work


def capture_of_probe(target: Target, run: Path, is_asked: bool) -> CaptureProcess:
    """Of a probe's target, in this process's namespace."""
    return CaptureProcess(run, [CapturePoint(endpoints_of([target]) if is_asked else (), nullcontext)], RealClock())


def capture_of_run(plan: Plan, run: Path, kernel: LinuxKernel, clock: Clock) -> CaptureProcess:
    """Of all targets of a run, in its client's namespace, and on each router of a lab."""
    if not plan.evidence.capture:
        return CaptureProcess(run, (), clock)
    targets = [target_of(plan), *(target_of(plan, other.target) for other in plan.workloads)]
    asked, is_lab = endpoints_of(targets), plan.interface is None
    points = [CapturePoint(asked, partial(kernel.inside, "client" if is_lab else ""))]
    for router in plan.topology.routers if is_lab else ():
        points.append(CapturePoint(asked, partial(kernel.inside, router), router))
    return CaptureProcess(run, points, clock)


def check_asked(target: Target) -> None:
    """Raises SpecError where there are no packets to capture, RefusedError without the right to."""
    if target.uds is not None:
        raise SpecError("--capture: what passes a Unix socket has no packets; remove --capture, or --uds")
    require_net_raw("--capture", "probe")


def endpoints_of(targets: Iterable[Target]) -> tuple[Endpoint, ...]:
    """Where connections to these targets go, the first ones of very many; a name that cannot be resolved has none."""
    found = dict.fromkeys(each for target in targets for each in _endpoints(target))
    return tuple(found)[:MOST_ENDPOINTS]


def _endpoints(target: Target) -> Iterator[Endpoint]:
    parts = urlsplit(target.proxy or target.url)
    port = parts.port or _PORTS.get(parts.scheme, 80)
    names = target.addresses if target.addresses and target.proxy is None else (parts.hostname or "",)
    for name in names:
        try:
            for *_, address in socket.getaddrinfo(name.encode(), port, type=socket.SOCK_STREAM):
                yield str(address[0]).partition("%")[0], port
        except (OSError, UnicodeError):
            continue
