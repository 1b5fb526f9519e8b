"""Adds disturbances to a run: another user's sockets and files, another run in another namespace.

Each exists before the run begins and is checked after the run was judged; what it finds is added to what was left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

from chaoskit.engine.journal import Journal
from chaoskit.engine.lease import LEASE, Lease, Location, Process
from chaoskit.knobs import Knob, Sysctl
from soak import interfaces
from soak.run_process import PATIENCE, RunProcess, kill, leases, wait_until

STRANGER = 4242  # a user of the machine who is not root
RUBBISH = "stranger-"  # how his leases are called
_NAMES = 50
_FORGED = Knob("sysctl", "", "net.ipv4.ip_default_ttl")


@contextmanager
def disturbance(what: str, state: Path, chance: random.Random, left: list[str]) -> Iterator[None]:
    """Have it for the time of the body; `left` gets a sentence for all that it finds wrong afterwards."""
    match what:
        case "squatter":
            around: AbstractContextManager[None] = _squatter()
        case "rubbish":
            around = _rubbish(state, left)
        case "neighbour":
            around = _neighbour(state, chance, left)
        case _:
            around = nullcontext()
    with around:
        yield


@contextmanager
def _squatter() -> Iterator[None]:
    """A stranger listens on many names of the lock's, and on the bare one."""
    pid = _as_stranger(_squat)
    try:
        yield
    finally:
        _end(pid)


def _squat(tell: int) -> None:
    sockets = []
    for name in ("chaoskit", *(f"chaoskit/{number:016x}" for number in range(_NAMES))):
        sockets.append(socket.socket(socket.AF_UNIX))
        sockets[-1].bind(f"\0{name}")
        sockets[-1].listen(1)
    _idle(tell)


def _idle(tell: int) -> None:
    os.write(tell, b"!")
    signal.pause()


@contextmanager
def _rubbish(state: Path, left: list[str]) -> Iterator[None]:
    """Leases of a stranger's: one that is whole and names a process of ours and a value for a parameter, one torn, one
    that is a link, one that is a pipe. Neither process nor parameter may be touched."""
    victim = _as_stranger(_idle)
    value = Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
    folder = state / "leases"
    folder.mkdir(exist_ok=True)
    forged, torn, pipe, link = (folder / f"{RUBBISH}{name}" for name in ("forged", "torn", "pipe", "link"))
    for each in (forged, torn, pipe):
        each.mkdir()
    here, process = Location.current(), Process.of(victim)
    times = "2026-01-01T00:00:00.000+00:00"
    place = (here.machine, here.boot, here.namespace)
    told = Lease(forged.name, "inject", "stranger", "bare", times, times, 0, {}, *place, process, process)
    (forged / LEASE).write_text(json.dumps(asdict(told)))
    with Journal.at(forged) as journal:
        journal.intend(_FORGED, Sysctl("7"), Sysctl(value.strip()))
        journal.done(_FORGED)
    (torn / LEASE).write_text("{")
    os.mkfifo(pipe / LEASE)
    link.symlink_to("/etc")
    for path in (forged, torn, pipe, *forged.iterdir(), *torn.iterdir(), *pipe.iterdir()):
        os.chown(path, STRANGER, STRANGER)
    try:
        yield
    finally:
        if Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() != value:
            left.append("another user's journal was restored")
        if os.waitpid(victim, os.WNOHANG)[0]:
            left.append("a process that a stranger's lease names was ended")
        else:
            _end(victim)
        for each in (forged, torn, pipe):
            for path in each.iterdir():
                path.unlink()
            each.rmdir()
        link.unlink()


@contextmanager
def _neighbour(state: Path, chance: random.Random, left: list[str]) -> Iterator[None]:
    """The same program on the other link, in the namespace behind it, with the same state folder; killed at a time of
    its own. Each puts back what is its own, and nothing of the other's."""
    link = "lived"
    place = f"far-{link}"
    fault = ("--to", f"{interfaces.near(link)}:{interfaces.PORT}", "--up", "delay 30ms", "--for", "60s")
    before = leases(state)
    process = RunProcess(("inject", "--interface", link, *fault), state, place=place)
    try:
        if (
            not wait_until(lambda: "in force" in process.words() or process.has_ended(), PATIENCE)
            or process.has_ended()
        ):
            left.append(f"the run in {place} did not begin: {process.words()}")
        own = leases(state) - before
        yield
        if process.has_ended() or not own <= leases(state):
            left.append(f"the run in {place} was ended by another's end: {process.words()}")
        time.sleep(chance.uniform(0, 0.1))
        kill(process.conductor, signal.SIGKILL)
        if not wait_until(lambda: not own & leases(state), PATIENCE):
            left.append(f"the lease of the run in {place} stays")
        if "chaos" in interfaces.tool("ip", "-n", place, "link"):
            left.append(f"links of the run in {place} stay")
    finally:
        process.end()


def _as_stranger(work: Callable[[int], object]) -> int:
    """A process of the stranger's that has done `work` as far as its sign; its pid."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
            work(tell)
        finally:
            os._exit(1)
    os.close(tell)
    if os.read(ready, 1) != b"!":
        raise RuntimeError("a stranger's process did not begin")
    os.close(ready)
    return pid


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
