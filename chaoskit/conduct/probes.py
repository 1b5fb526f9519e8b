"""Runs the probe of an experiment and those of its other workloads, each in its own process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

from chaoskit.clock import TICK, Clock, begin_at, next_tick, now
from chaoskit.conduct.lab_hosts import root
from chaoskit.conduct.worker import Worker
from chaoskit.errors import RefusedError
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.planning.model import Plan, PlannedWorkload
from chaoskit.probe.drive import drive, warm_up
from chaoskit.probe.ending import Ending
from chaoskit.probe.shares import Share
from chaoskit.probe.target import DriveOptions, SocketOptions, Target, endpoint
from chaoskit.probe.transport.socket_options import check_supported
from chaoskit.records.directory import WORKLOADS
from chaoskit.seed import derive
from chaoskit.spec.classes import only

_FIRST_PORTS = (30_000, 60_000)
_OTHERS, _MANY = 10_000, 1000  # ports of other workloads
_LEAD = 500_000_000  # ns for the probes to prepare their first requests
_GRACE = 5 * 10**9  # ns that another workload may take to end after the measured one
_PACE = 10_000_000  # ns


class Probes:
    """The measured workload's process (`main`), and those of the others."""

    main: Worker

    def __init__(self, plan: Plan, kernel: LinuxKernel, run: Path, clock: Clock, traces: int | None) -> None:
        """`traces` is what those of the requests are drawn from; None: they name none."""
        self._traces = traces
        self._plan, self._kernel, self._run, self._clock = plan, kernel, run, clock
        self._ends = 0
        self._endings: list[int] = []  # pipes, if the run may end before its length
        self._others: list[Worker] = []
        self._workers: list[Worker] = []

    def start(self) -> int:
        """Start all, and return the time of the first request. Raises RefusedError."""
        check_supported(target_of(self._plan).sockets)
        pipes = [os.pipe() for _ in self._plan.workloads]
        for other, (reader, _) in zip(self._plan.workloads, pipes, strict=True):
            self._others.append(self._other(other, reader))
            self._workers.append(self._others[-1])
            os.close(reader)
        start = self._measured()
        begin_at(self._clock, start - TICK)
        for _, writer in pipes:
            os.write(writer, str(start).encode())
            os.close(writer)
        return start

    def check(self) -> None:
        """Raises what ended another workload, RefusedError where nothing did."""
        for worker in self._others:
            if not worker.is_alive and self._clock.now() < self._ends:
                raise RefusedError(f"the {worker.name} ended before the timeline did; this is a mistake in chaoskit")

    def end_at(self, stamp: int) -> None:
        """Let all start no more requests from this stamp on."""
        self._ends = min(self._ends, stamp)
        for pipe in self._endings:
            with suppress(OSError):  # it has ended, which its end says
                os.write(pipe, str(stamp).encode())

    def finish(self) -> None:
        """Wait until the streams of all others have ended."""
        until = self._clock.now() + _GRACE
        while any(worker.is_alive for worker in self._others) and self._clock.now() < until:
            self._clock.sleep_until(self._clock.now() + _PACE)

    def stop(self) -> None:
        """End all. Never raises."""
        for worker in reversed(self._workers):
            worker.stop(self._clock)
        while self._endings:
            os.close(self._endings.pop())

    def _ending(self) -> Callable[[], Ending | None]:
        """What makes the end of a worker's drive, in its process; made before it is forked."""
        if self._plan.looks is None:
            return lambda: None
        reader, writer = os.pipe()
        self._endings.append(writer)
        return lambda: Ending(reader)

    def _measured(self) -> int:
        plan, target = self._plan, replace(target_of(self._plan), traces=self._traces)
        reader, writer = os.pipe()
        ending = self._ending()

        async def work(stop: asyncio.Event) -> None:
            await warm_up()
            start = next_tick(now() + _LEAD)
            os.write(writer, str(start).encode())
            os.close(writer)
            options = DriveOptions(
                plan.seed,
                start,
                plan.length,
                plan.drain,
                fault_free=plan.fault_free,
                classes=plan.classes,
                surges=plan.surges,
                ending=ending(),
            )
            await drive(target, plan.workload, options, self._run, stop)

        self.main = Worker("probe", self._client(), work)
        self._workers.append(self.main)
        os.close(writer)
        with open(reader, "rb") as pipe:  # noqa: PTH123  a descriptor, not a path
            start = int(pipe.read(32) or 0)  # empty when it died before it was ready
        self._ends = start + plan.length
        return start

    def _other(self, other: PlannedWorkload, reader: int) -> Worker:
        plan = self._plan
        target = replace(target_of(plan, other.target, 1 + plan.workloads.index(other)), traces=self._traces)
        folder = self._run / WORKLOADS / other.name
        folder.mkdir(parents=True)
        seed = derive(plan.seed, "workload", other.name)
        classes = only(plan.classes, other.traffic_class)
        ending = self._ending()

        async def work(stop: asyncio.Event) -> None:
            await warm_up()
            start = int(os.read(reader, 32))  # nothing else is to be done until then
            share = Share(first=other.first)
            options = DriveOptions(
                seed,
                start,
                plan.length,
                plan.drain,
                fault_free=plan.fault_free,
                share=share,
                classes=classes,
                ending=ending(),
            )
            await drive(target, other.workload, options, folder, stop)

        return Worker(f"workload {other.name}", self._client(), work)

    def _client(self) -> AbstractContextManager[None]:
        return self._kernel.inside("client" if self._plan.interface is None else "")


def target_of(plan: Plan, url: str | None = None, number: int = 0) -> Target:
    """The probe's target and socket options; in a lab congestion control is set by its namespace.

    `url` and `number`: of another workload, from 1 on. In a lab its connections have ports in order, because the
    kernel's choice depends on all random numbers that were drawn before.
    """
    interface, tuned = plan.interface, SocketOptions(plan.client.maxseg)
    if (silence := plan.client.tcp_keepalive) is not None:
        tuned = replace(tuned, keepalive=silence // 10**9)
    if interface is not None:
        tuned = replace(tuned, congestion_control=plan.client.congestion_control)
        return endpoint(plan.target, interface.access, addresses=interface.target_addresses, sockets=tuned)
    tuned = replace(tuned, ports=_ports(number))
    if plan.hosts:
        asked = url or plan.target
        addresses = plan.topology.resolve(urlsplit(asked).hostname or "", plan.ip)
        return endpoint(asked, plan.access, variables(plan), addresses=addresses, sockets=tuned)
    has_chunks = plan.server is not None and plan.server.tokens_per_event > 1  # an event is a token otherwise
    return Target(plan.target, "chaoskit", ca_file=root(plan.target), sockets=tuned, asks_usage=has_chunks)


def _ports(number: int) -> Iterator[int]:
    """The ports of a workload, again and again: most are for the measured one, number 0."""
    first, last = _FIRST_PORTS if number == 0 else (_OTHERS + number * _MANY, _OTHERS + (number + 1) * _MANY)
    return cycle(range(first, last))


@cache
def _from_stdin() -> Mapping[str, str]:
    """The values of variables that a guest gets, in which nobody can read them."""
    found = json.loads(sys.stdin.read() or "{}")
    return {str(name): str(value) for name, value in found.items()}


def variables(plan: Plan) -> Mapping[str, str]:
    """The environment, with what a guest gets on its standard input."""
    return {**os.environ, **_from_stdin()} if plan.variables else os.environ
