"""Starts the server of a lab, and gives the root certificate for its clients."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from chaoskit.conduct.worker import Worker
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.plan.model import Plan
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Served, Unacked
from chaoskit.server import certificates
from chaoskit.server.app import serve
from chaoskit.server.limits import LAB
from chaoskit.server.schedule import Script

_BACKLOG = 1024


def root(plan: Plan) -> Path | None:
    """The root certificate that the lab's clients trust; None where the server does not use TLS."""
    return certificates.ROOT if plan.target.startswith("https:") else None


def start(plan: Plan, kernel: LinuxKernel, run: Path | None = None) -> Worker:
    """The server of a lab's plan, in its namespace. Its records go to `run`, if that is given."""
    assert plan.server is not None
    listener = _listener(plan, kernel)
    script = Script.of(plan.server, plan.seed)
    if root(plan) is not None:
        script = replace(script, tls=certificates.context())

    async def work(stop: asyncio.Event) -> None:
        log, unacked = (None, None) if run is None else (Log(run, Served), Log(run, Unacked))
        await serve(listener, script, stop, log, unacked, LAB)

    worker = Worker("server", kernel.inside("server"), work)
    listener.close()
    return worker


def _listener(plan: Plan, kernel: LinuxKernel) -> socket.socket:
    """A socket on the target's port; accepted connections inherit its socket options."""
    assert plan.server is not None
    url = urlsplit(plan.target)
    family, host = (socket.AF_INET6, "::") if ":" in (url.hostname or "") else (socket.AF_INET, "0.0.0.0")
    with kernel.inside("server"):
        listener = socket.create_server((host, url.port or 0), family=family, backlog=_BACKLOG)
    if plan.server.maxseg is not None:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, plan.server.maxseg)
    return listener
