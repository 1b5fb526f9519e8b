"""Starts the server of a lab, and gives the root certificate for its clients."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.worker import Worker
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.records.jsonl import Log
from chaoskit.records.model import ServedResponse, UnackedSample
from chaoskit.server import certificates
from chaoskit.server.app import serve
from chaoskit.server.limits import LAB

if TYPE_CHECKING:  # plans load pydantic, which takes a third of a second in a guest
    from chaoskit.plan.model import Plan

_BACKLOG = 1024


def root(lab: Plan | LabSetup) -> Path | None:
    """The root certificate that the lab's clients trust; None where the server does not use TLS."""
    return certificates.ROOT if lab.target.startswith("https:") else None


def start(plan: Plan, kernel: LinuxKernel, run: Path | None = None) -> Worker:
    """The server of a lab's plan, in its namespace. Its records go to `run`, if that is given."""
    return start_setup(LabSetup.of(plan), kernel, run)


def start_setup(lab: LabSetup, kernel: LinuxKernel, run: Path | None = None) -> Worker:
    """The same for the plain data of a plan."""
    listener = _listener(lab, kernel)
    script = lab.script
    if root(lab) is not None:
        script = replace(script, tls=certificates.context())

    async def work(stop: asyncio.Event) -> None:
        log, unacked = (None, None) if run is None else (Log(run, ServedResponse), Log(run, UnackedSample))
        await serve(listener, script, stop, log, unacked, LAB)

    worker = Worker("server", kernel.inside("server"), work)
    listener.close()
    return worker


def _listener(lab: LabSetup, kernel: LinuxKernel) -> socket.socket:
    """A socket on the target's port; accepted connections inherit its socket options."""
    url = urlsplit(lab.target)
    family, host = (socket.AF_INET6, "::") if ":" in (url.hostname or "") else (socket.AF_INET, "0.0.0.0")
    with kernel.inside("server"):
        listener = socket.create_server((host, url.port or 0), family=family, backlog=_BACKLOG)
    if lab.maxseg is not None:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, lab.maxseg)
    return listener
