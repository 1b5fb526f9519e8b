"""Captures the headers of the target's packets beside a run, in a process of its own.

Rules: the socket is made here, in the client's namespace, so that no packet is missed and a missing right is told
before anything is sent; it captures the target's addresses and ports only, as they are when it is made, those of the
proxy where there is one; the process dies with this one, and what it wrote until then can be read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
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
from chaoskit.kernel.packet_ring import PacketRing, link_name
from chaoskit.kernel.rights import require_net_raw
from chaoskit.plan.model import Plan
from chaoskit.probe.target import Target

_PORTS = {"https": 443}
_RING = 32  # blocks of 256 KiB: a third of a second of 150,000 packets/s
Inside = Callable[[], AbstractContextManager[None]]
"""Enters the client's namespace for the duration of a `with`."""


@dataclass
class CaptureProcess:
    """The process of a capture; a context manager. Without endpoints there is none.

    Where this kernel does not allow a capture, there is none either: once it is entered, `missing` says why.
    """

    run: Path
    endpoints: Sequence[Endpoint]
    inside: Inside
    clock: Clock
    missing: str = field(default="", init=False)
    _worker: Worker | None = field(default=None, init=False)

    def __enter__(self) -> CaptureProcess:
        if self.endpoints:
            try:
                with self.inside():
                    ring = PacketRing(self.endpoints, _RING)
            except RefusedError as error:
                self.missing = str(error)
                return self
            try:
                self._worker = Worker("capture of packets", self.inside(), self._work(ring))
            finally:
                ring.close()  # here; the process has its own
        return self

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

    def _work(self, ring: PacketRing) -> Work:
        async def work(stop: asyncio.Event) -> None:
            file = CaptureFile(self.run, self.clock, link_name)
            try:
                await capture(ring, file, stop)
            finally:
                file.close()

        return work


def capture_of_probe(target: Target, run: Path, is_asked: bool) -> CaptureProcess:
    """Of a probe's target, in this process's namespace."""
    return CaptureProcess(run, endpoints_of([target]) if is_asked else (), nullcontext, RealClock())


def capture_of_run(plan: Plan, run: Path, kernel: LinuxKernel, clock: Clock) -> CaptureProcess:
    """Of all targets of a run, in its client's namespace."""
    place = "client" if plan.interface is None else ""
    targets = [target_of(plan), *(target_of(plan, other.target) for other in plan.workloads)]
    asked = endpoints_of(targets) if plan.evidence.capture else ()
    return CaptureProcess(run, asked, lambda: kernel.inside(place), clock)


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
