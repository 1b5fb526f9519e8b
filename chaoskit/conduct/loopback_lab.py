"""Serves the tiers of a lab on loopback, each at its own address, without links and faults."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from chaoskit import loop_signals
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.loopback_spans import LoopbackSpans, receiver
from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.records.jsonl import Log
from chaoskit.server.app import listen, serve
from chaoskit.server.inference.model_records import ModelLogs
from chaoskit.server.schedule import Script
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.stage import ServiceStage
from chaoskit.terminal import say
from chaoskit.tiers.serving import serve_tier
from chaoskit.tiers.settings import GatewaySettings, TierSettings

_FIRST = "127.0.0.1"


@dataclass(frozen=True)
class _Served:
    """A host: its name, what it is for people, its address, and what it does."""

    name: str
    shown: str
    address: str
    does: Script | TierSettings


def serve_lab(path: Path, port: int) -> int:
    """Serve the lab of this experiment file until SIGINT or SIGTERM; returns its number.

    Every host listens on this port of 127.0.0.1, 127.0.0.2, and so on; the one that clients ask is the first. 0 is any
    free port, the same for all. Of a file with a matrix it is the lab of the first variant. Raises SpecError for a file
    without a service lab, or with a host that runs a command; RefusedError for a port in use.
    """
    experiment = load_variants(path).each[0].experiment
    if not isinstance(experiment.stage, ServiceStage):
        raise SpecError(f"{path}: no service lab; --lab serves the hosts of stage: {{lab: service, hosts: ...}}")
    program = next((name for name, host in experiment.stage.hosts.items() if host.run is not None), None)
    if program is not None:
        raise SpecError(f"{path}: {program} runs a command, and a lab with those needs hosts: sudo chaoskit up {path}")
    first = listen(_FIRST, port)
    port = first.getsockname()[1]
    served = tuple(_hosts(compile_plan(experiment), port))
    listeners = [first, *(listen(host.address, port) for host in served[1:])]
    return asyncio.run(_serve(served, listeners, port))


def _hosts(plan: Plan, port: int) -> Iterator[_Served]:
    """The hosts of a plan, the one that clients ask first."""
    setup = LabSetup.of(plan)
    found: dict[str, Script | TierSettings] = {each.name: each.script for each in setup.references}
    found |= {each.name: each.settings for each in setup.tiers}
    asked = urlsplit(plan.target).hostname
    planned = sorted(plan.hosts, key=lambda host: asked not in (host.name, host.group))
    addresses = {host.name: f"127.0.0.{number}" for number, host in enumerate(planned, start=1)}
    by_name = {
        name: tuple(addresses[host.name] for host in planned if name in (host.name, host.group))
        for host in planned
        for name in (host.name, host.group)
    }
    for host in planned:
        does = found[host.name]
        if isinstance(does, GatewaySettings):
            does = replace(does, addresses=by_name, port=port)
        yield _Served(host.name, host.spec.shown, addresses[host.name], does)


async def _serve(hosts: Sequence[_Served], listeners: Sequence[socket.socket], port: int) -> int:
    stop, received = asyncio.Event(), list[int]()

    def end(sign: int) -> None:
        received.append(sign)
        stop.set()

    width = max(len(host.name) for host in hosts)
    with loop_signals.handled((signal.SIGINT, signal.SIGTERM), end):
        for host in hosts:
            say(f"{host.name:{width}}  http://{host.address}:{port}  {host.shown}")
        async with _spans() as log, asyncio.TaskGroup() as group:
            for host, listener in zip(hosts, listeners, strict=True):
                if isinstance(host.does, Script):
                    logs = None if log is None else ModelLogs(host.name, host.does.seed, log)
                    group.create_task(serve(listener, host.does, stop, model_logs=logs))
                else:
                    group.create_task(serve_tier(host.name, host.does, listener, stop, log))
    return received[0]


@asynccontextmanager
async def _spans() -> AsyncIterator[Log | None]:
    """Where the tiers' spans are written to be exported; None where the environment names nobody who takes them."""
    to = receiver(os.environ)
    if to is None:
        yield None
        return
    with TemporaryDirectory(prefix="chaoskit-") as folder:
        async with LoopbackSpans(Path(folder), to) as spans:
            yield spans.log
