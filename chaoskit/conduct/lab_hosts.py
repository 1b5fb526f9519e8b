"""Makes the hosts of a lab from its setup: the programs of users, and the reference servers."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.conduct.hosts.host_programs import Hosts
from chaoskit.conduct.hosts.reference import ReferenceProcess
from chaoskit.conduct.lab_setup import PORT, LabSetup, ReferenceHost, TierHost
from chaoskit.conduct.worker import Worker
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.records.jsonl import Log
from chaoskit.records.model import ServedResponse, UnackedSample
from chaoskit.records.spans import ModelState, Span
from chaoskit.server import certificates
from chaoskit.server.app import serve
from chaoskit.server.inference.model_records import ModelLogs
from chaoskit.server.limits import LAB

_BACKLOG = 1024


def root(target: str) -> Path | None:
    """The root certificate that the clients of a reference server trust; None where it does not use TLS."""
    return certificates.ROOT if target.startswith("https:") else None


def hosts_of(setup: LabSetup, kernel: LinuxKernel, run: Path, clock: Clock, has_records: bool = True) -> Hosts:
    """The hosts of a lab whose stage is set; nothing runs yet. Logs go to `run`, and records if it `has_records`."""
    return Hosts(
        [(program, kernel.fileno(program.name)) for program in setup.programs],
        run,
        clock,
        [
            ReferenceProcess(
                host.name,
                kernel.fileno(host.name),
                partial(_start_reference, host, kernel, run if has_records else None),
            )
            for host in setup.references
        ]
        + [
            ReferenceProcess(
                host.name,
                kernel.fileno(host.name),
                partial(_start_tier, host, kernel, run if has_records else None),
            )
            for host in setup.tiers
        ],
        setup.asked,
    )


def _start_reference(host: ReferenceHost, kernel: LinuxKernel, run: Path | None) -> Worker:
    """The reference server of a host, in its namespace. It listens when this returns."""
    listener = _listener(host, kernel)
    script = replace(host.script, tls=certificates.context()) if host.has_tls else host.script

    async def work(stop: asyncio.Event) -> None:
        if run is None:
            await serve(listener, script, stop, limits=LAB)
            return
        log, unacked, model = Log(run, ServedResponse), Log(run, UnackedSample), None
        if host.records_spans:
            states = None if script.engine is None else Log(run, ModelState)
            model = ModelLogs(host.name, script.seed, Log(run, Span), states)
        await serve(listener, script, stop, log, unacked, LAB, model)

    worker = Worker("reference server", kernel.inside(host.name), work)
    listener.close()
    return worker


def _start_tier(host: TierHost, kernel: LinuxKernel, run: Path | None) -> Worker:
    """A tier of a host, in its namespace. It listens when this returns."""
    listener = _listener(host, kernel)

    async def work(stop: asyncio.Event) -> None:
        from chaoskit.tiers.serving import serve_tier

        await serve_tier(host.name, host.settings, listener, stop, None if run is None else Log(run, Span), LAB)

    worker = Worker("tier", kernel.inside(host.name), work)
    listener.close()
    return worker


def _listener(host: ReferenceHost | TierHost, kernel: LinuxKernel) -> socket.socket:
    """A socket for both IP versions; accepted connections inherit its socket options."""
    with kernel.inside(host.name):
        listener = socket.create_server(("::", PORT), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    if host.maxseg is not None:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, host.maxseg)
    return listener
