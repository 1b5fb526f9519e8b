"""Keeps a lab standing in a guest, with ports of its hosts reachable from this machine.

A guest has no network of this machine's. Connections to a port here are accepted here, and carried over a console of
the guest to a process in the client's namespace, which makes them there. So a program here sees the lab as its client
does: what a fault does to packets, it does between that process and the host. A console carries 0.6 MB/s into a guest.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import tty
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TextIO

from chaoskit import loop_signals, programs
from chaoskit.clock import RealClock
from chaoskit.conduct.connection_channel import TERMINAL, Channel
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.port_forward import Forward
from chaoskit.conduct.up import ENDING, Standing, standing
from chaoskit.errors import RefusedError
from chaoskit.planning.model import Plan
from chaoskit.substrate.running import Command
from chaoskit.substrate.uml import Guest, Uml
from chaoskit.terminal import complain, note
from chaoskit.units import Duration

LAB, STANDS, COMPLAINTS = "lab", "stands", "complaints"
"""Files in the folder that a guest has: what to build, the sign that it stands, and what is complained of."""

_CONSOLE, _TTY1 = "/run/tty1", os.makedev(4, 1)  # Documentation/admin-guide/devices.txt
_NO_LIMIT = Duration.parse("8760h")
_POLL = 0.05  # s


def stand(
    substrate: Uml, plan: Plan, forwards: tuple[Forward, ...], run: Path, show: Callable[[Standing], None]
) -> int:
    """As `conduct.up.up`, in a guest."""
    setup = LabSetup.of(plan)
    (run / LAB).write_bytes(setup.pickled())
    (run / COMPLAINTS).touch()
    job = {"environments": setup.environments, "ports": [asdict(forward.to) for forward in forwards]}
    mine, its = socket.socketpair()
    words = programs.python_in_guest("chaoskit.cli.guest_up", str(run.resolve()))
    try:
        guest = substrate.launch(Command(words, run, _NO_LIMIT), RealClock(), json.dumps(job).encode(), its.fileno())
    finally:
        its.close()
    try:
        return asyncio.run(_stand(guest, mine, forwards, run, lambda: show(standing(plan, forwards, run))))
    finally:
        guest.close()
        for name in (LAB, STANDS, COMPLAINTS):
            (run / name).unlink(missing_ok=True)


def open_console() -> int:
    """In the guest: the descriptor of the console that connections come over, raw."""
    os.mknod(_CONSOLE, stat.S_IFCHR | 0o600, _TTY1)
    console = os.open(_CONSOLE, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    tty.setraw(console)
    return console


async def _stand(
    guest: Guest, console: socket.socket, forwards: tuple[Forward, ...], run: Path, show: Callable[[], None]
) -> int:
    ended = asyncio.Future[int]()
    with loop_signals.handled(ENDING, partial(_end, ended)), (run / COMPLAINTS).open() as complaints:
        while not (run / STANDS).exists() and not ended.done():
            await _look(guest, complaints, ended)
        if not ended.done():
            channel = Channel(await asyncio.open_unix_connection(sock=console), limit=TERMINAL)
            serving = asyncio.create_task(channel.serve())
            for port, forward in enumerate(forwards):
                await asyncio.start_server(partial(_carry, channel, port), sock=forward.listener)
            show()
            while not ended.done():
                await _look(guest, complaints, ended)
            serving.cancel()
        else:
            complain("interrupted")
    return 128 + ended.result()


def _end(ended: asyncio.Future[int], sign: int) -> None:
    if not ended.done():
        ended.set_result(sign)


async def _carry(channel: Channel, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await channel.open(port, (reader, writer))


async def _look(guest: Guest, complaints: TextIO, ended: asyncio.Future[int]) -> None:
    """Wait for a moment, and tell what the guest complains of. Raises RefusedError when it has ended."""
    await asyncio.wait({ended}, timeout=_POLL)
    code = guest.poll()
    told = complaints.read()
    if code is not None:
        raise RefusedError(told.strip().removeprefix("chaoskit: ") or f"the guest ended with exit code {code}")
    note(*told.splitlines())
