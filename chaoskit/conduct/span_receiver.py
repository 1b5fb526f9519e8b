"""Receives the spans of the programs on a request's way, beside a run.

| where              | it listens                              | programs find it by                                 |
|--------------------|-----------------------------------------|-----------------------------------------------------|
| in a service lab   | on 127.0.0.1:4318 of each host that     | their environment, unless it names another endpoint |
|                    | runs a program: spans pass no link      |                                                     |
| at a target        | where the file or the option says       | their own configuration                             |

Rules: it is one process; in a lab it starts when a program first exports, because a guest's memory is small, and before
programs are stopped; it ends after them, so that what they export when they are stopped still arrives.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from chaoskit.clock import Clock
from chaoskit.conduct import signals
from chaoskit.conduct.hosts.program import HostProgram
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.worker import Work, Worker
from chaoskit.errors import RefusedError
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.planning.model import Plan
from chaoskit.records.jsonl import Log
from chaoskit.records.spans import Exports, Span
from chaoskit.records.trace_context import trace_prefix
from chaoskit.seed import derive
from chaoskit.spec.telemetry import Telemetry
from chaoskit.telemetry.endpoint import DEFAULT_LISTEN, address
from chaoskit.telemetry.intake import Intake
from chaoskit.telemetry.mapping import CONVENTIONS
from chaoskit.telemetry.receiver import receive

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_DELAY = "OTEL_BSP_SCHEDULE_DELAY"
_MS = 10**6
_LAB_DELAY, _SDK_DELAY = 500 * _MS, 5000 * _MS  # ns from a span's end to its export; the second is the SDKs' default
_MORE, _MOST_DELAY = 250 * _MS, 10_000 * _MS  # ns for the export itself; ns that a run waits at most
Listeners = Mapping[str | None, socket.socket]
"""By the host whose programs reach them; None: those of a target."""


@dataclass(frozen=True)
class ReceiverTask:
    """What is received: the spans of requests whose traces come from `seed`. `delay` until they arrive, ns."""

    run: Path
    seed: int
    telemetry: Telemetry | None
    delay: int = _SDK_DELAY


class SpanReceiver:
    """The process of a receiver; a context manager. Without listeners there is none.

    One that `waits` starts when `check` finds that somebody has connected, or with `await_last`.
    """

    def __init__(self, task: ReceiverTask, listeners: Listeners, clock: Clock, waits: bool = False) -> None:
        self._task, self._listeners, self._clock = task, listeners, clock
        self._worker: Worker | None = None
        self._calls = select.poll()
        for each in listeners.values():
            self._calls.register(each, select.POLLIN)
        if not waits:
            self._start()

    def __enter__(self) -> SpanReceiver:
        return self

    def check(self) -> None:
        """Start it when somebody has connected. Raises what ended it early."""
        if self._worker is None:
            if self._listeners and self._calls.poll(0):
                self._start()
        elif not self._worker.is_alive:
            raise RefusedError("the receiver of spans ended early; this is a mistake in chaoskit")

    def await_last(self) -> None:
        """Wait as long as programs keep the spans of the last requests before they export them."""
        self._start()
        if self._worker is not None:
            self._clock.sleep_until(self._clock.now() + min(self._task.delay, _MOST_DELAY) + _MORE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            with signals.held():
                self._worker.stop(self._clock)
        self._close()

    def _start(self) -> None:
        if self._worker is None and self._listeners:
            self._worker = Worker("receiver of spans", nullcontext(), _work(self._task, self._listeners))
            self._close()

    def _close(self) -> None:
        """The listeners here; its process has its own."""
        for each in self._listeners.values():
            each.close()
        self._listeners = {}


def trace_seed(plan: Plan, now: int) -> int | None:
    """What the traces of a run's requests are drawn from; None: they name none, where nobody would record a span.

    At a target each run has others, because what collects its programs' spans outlives the run.
    """
    if not plan.has_traces:
        return None
    return plan.seed if plan.interface is None else derive(plan.seed, "run", now)


def in_lab(setup: LabSetup, kernel: LinuxKernel, task: ReceiverTask, clock: Clock) -> tuple[SpanReceiver, LabSetup]:
    """A receiver on the hosts of a lab that run programs, and the lab whose programs know of it."""
    asked = [program for program in setup.programs if not any(name in program.environment for name in _ENDPOINTS)]
    listeners: dict[str | None, socket.socket] = {}
    for program in asked:
        with kernel.inside(program.name):
            listeners[program.name] = socket.create_server(address(DEFAULT_LISTEN))
    told = {program.name: _told(program) for program in asked}
    changed = replace(setup, programs=tuple(told.get(program.name, program) for program in setup.programs))
    delays = [_delay(program) for program in told.values()]
    return SpanReceiver(replace(task, delay=max(delays, default=0)), listeners, clock, waits=True), changed


def listeners_at_target(telemetry: Telemetry | None) -> Listeners:
    """Where the programs of a target export to; none without `telemetry`. Raises RefusedError."""
    if telemetry is None:
        return {}
    listen = telemetry.address
    host, port = address(listen)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise RefusedError(f"telemetry: cannot listen on {listen}: {_reason(error, port)}") from None
    return {None: listener}


def _reason(error: OSError, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"in use by another program, perhaps a collector; find it: ss -ltnp sport = :{port}"
        case errno.EACCES:
            return "ports below 1024 need root; choose another one"
        case _:
            return f"{os.strerror(error.errno or 0)}; this machine's addresses: ip address"


def _told(program: HostProgram) -> HostProgram:
    """The program with the variables by which OpenTelemetry's SDKs are configured, as far as it does not set them."""
    given = {
        _ENDPOINTS[0]: f"http://{DEFAULT_LISTEN}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": program.name,
        _DELAY: str(_LAB_DELAY // _MS),
    }
    return replace(program, environment=given | dict(program.environment))


def _delay(program: HostProgram) -> int:
    with suppress(ValueError):
        return max(0, int(program.environment[_DELAY])) * _MS
    return _SDK_DELAY


def _work(task: ReceiverTask, listeners: Listeners) -> Work:
    async def work(stop: asyncio.Event) -> None:
        mapping = CONVENTIONS if task.telemetry is None else task.telemetry.map.mapping
        spans, exports = Log(task.run, Span), Log(task.run, Exports)
        try:
            await receive(listeners, Intake(spans, trace_prefix(task.seed), mapping), exports, stop)
        finally:
            spans.close()
            exports.close()

    return work
