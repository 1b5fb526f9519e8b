"""Runs a cell on a worker of Dask: a function that is called there, in a thread of the worker.

Rules: it tells first that this machine is another one than was asked for; it leaves nothing behind; a child ends, and
restores everything, when the worker dies.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit import __version__
from chaoskit.clock import RealClock
from chaoskit.errors import ChaoskitError, RefusedError
from chaoskit.substrate.virtual_time import find
from chaoskit.workers import travel
from chaoskit.workers.child_run import ChildRun, run_command_line

_POLL = 50_000_000  # ns
_NS = 10**9
_RUNNING: dict[str, ChildRun] = {}
_STOPPED: set[str] = set()


@dataclass(frozen=True)
class Machine:
    """What a result depends on: the version of chaoskit, the SHA-256 of the guest kernel or why there is none."""

    chaoskit: str
    kernel: str


@dataclass(frozen=True)
class CellTask:
    """A cell for a worker. `batch` names all of one client; `words` are those of `chaoskit run` after the file."""

    batch: str
    name: str
    file: str
    words: tuple[str, ...]
    files: Mapping[str, bytes]
    kernel: str | None
    expected: Machine


@dataclass(frozen=True)
class CellOutcome:
    """How it ended there: as of `EndedCell`, with the archive of its run directory."""

    code: int
    complaint: str
    seconds: float
    archive: bytes


def machine(kernel: str | None) -> Machine:
    """This one, with the guest kernel at this path, or the one that is used without a path."""
    found = find(Path(kernel) if kernel else None)
    if isinstance(found, str):
        return Machine(__version__, found)
    return Machine(__version__, hashlib.sha256(found.path.read_bytes()).hexdigest())


def mismatch(here: Machine, expected: Machine) -> str:
    """Why a cell is not run there; "" where it is."""
    if here.chaoskit != expected.chaoskit:
        own = expected.chaoskit
        return f"it has chaoskit {here.chaoskit}, and {own} is expected: pip install chaoskit=={own}"
    if here.kernel != expected.kernel:
        return (
            f"its guest kernel is another one ({here.kernel[:120]}, and {expected.kernel[:12]} is expected): "
            "chaoskit kernel build"
        )
    return ""


def run_cell(task: CellTask) -> CellOutcome:
    """Run it. Never raises."""
    clock = RealClock()
    begun = clock.now()
    try:
        if reason := mismatch(machine(task.kernel), task.expected):
            return CellOutcome(RefusedError.exit_code, f"a worker is not used: {reason}", 0.0, b"")
        with tempfile.TemporaryDirectory(prefix="chaoskit-cell-") as place:
            travel.unpack_files(task.files, Path(place))
            code, complaint = _run(task, Path(place), clock)
            packed = travel.archive(Path(place) / "run")
    except (OSError, ChaoskitError) as error:
        return CellOutcome(RefusedError.exit_code, f"a worker cannot run {task.name}: {error}", 0.0, b"")
    return CellOutcome(code, complaint, (clock.now() - begun) / _NS, packed)


def _run(task: CellTask, place: Path, clock: RealClock) -> tuple[int, str]:
    lock = os.memfd_create("chaoskit-cell", os.MFD_CLOEXEC)
    key = f"{task.batch}/{task.name}"
    try:
        argv = run_command_line((str(place / task.file), *task.words), place / "run")
        child = _RUNNING[key] = ChildRun(argv, place / "run", lock, clock)
        if task.batch in _STOPPED:
            child.interrupt()
        while (code := child.poll()) is None:
            clock.sleep_until(clock.now() + _POLL)
        return code, child.close()
    finally:
        _RUNNING.pop(key, None)
        os.close(lock)


def stop(batch: str, sign: int) -> tuple[str, ...]:
    """Interrupt all cells of a batch here, also those that begin later. Returns the names of those that ran."""
    _STOPPED.add(batch)
    running = [(key, child) for key, child in list(_RUNNING.items()) if key.startswith(f"{batch}/")]
    for _, child in running:
        child.interrupt(signal.Signals(sign))
    return tuple(key.removeprefix(f"{batch}/") for key, _ in running)
