"""Runs a cell on a worker of Dask: a function that is called there, in a thread of the worker.

Rules: it tells first that this machine is another one than was asked for; it leaves nothing behind, and removes what a
killed worker left; a child ends, and restores everything, when the worker dies.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaoskit import __version__
from chaoskit.clock import RealClock
from chaoskit.errors import ChaoskitError, RefusedError
from chaoskit.substrate.virtual_time import find
from chaoskit.workers import travel
from chaoskit.workers.cell_folder import cell_folder
from chaoskit.workers.child_run import ChildRun
from chaoskit.workers.fork_server import ForkServer
from chaoskit.workers.processor_shares import WorkerProcess

_POLL = 50_000_000  # ns
_NS = 10**9
_PROCESS = secrets.token_hex(8)
"""The name of this worker: two containers may have processes of one number."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_BUSY: set[int] = set()
"""The places in this worker's share whose processors are in use."""
_CHOOSING = threading.Lock()
_RUNNING: dict[str, ChildRun] = {}
_FORKS = ForkServer()
_STOPPED: set[str] = set()


@dataclass(frozen=True)
class Machine:
    """What a result depends on: the version of chaoskit, the SHA-256 of the guest kernel or why there is none."""

    chaoskit: str
    kernel: str


@dataclass(frozen=True)
class CellTask:
    """A cell for a worker. `batch` names all of one client; `words` are those of `chaoskit run` after the file.

    `shares`: the processors of each worker, by its name.
    """

    batch: str
    name: str
    file: str
    words: tuple[str, ...]
    files: Mapping[str, bytes]
    kernel: str | None
    expected: Machine
    shares: Mapping[str, tuple[int, ...]]


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


def worker_process(cells: int) -> WorkerProcess:
    """This one, which runs so many cells at a time."""
    return WorkerProcess(_PROCESS, _BOOT.read_text().strip(), tuple(sorted(os.sched_getaffinity(0))), cells)


def mismatch(here: Machine, expected: Machine) -> str:
    """Why a cell is not run there; "" where it is."""
    if here.chaoskit != expected.chaoskit:
        own = expected.chaoskit
        return f"it has chaoskit {here.chaoskit}, and {own} is expected: pip install chaoskit=={own}"
    if here.kernel != expected.kernel:
        found = here.kernel[:120] if " " in here.kernel else here.kernel[:12]
        return (
            f"its guest kernel is another one ({found}, and {expected.kernel[:12]} is expected): chaoskit kernel build"
        )
    return ""


def run_cell(task: CellTask) -> CellOutcome:
    """Run it. Never raises."""
    clock = RealClock()
    begun = clock.now()
    try:
        if reason := mismatch(machine(task.kernel), task.expected):
            return CellOutcome(RefusedError.exit_code, f"a worker is not used: {reason}", 0.0, b"")
        with cell_folder() as (place, lock), _processor(task) as processor:
            travel.unpack_files(task.files, place)
            words = (str(place / task.file), *task.words)
            code, complaint = _ended(task, ChildRun(_FORKS, words, place / "run", lock, clock, processor), clock)
            packed = travel.archive(place / "run")
    except (OSError, ChaoskitError) as error:
        return CellOutcome(RefusedError.exit_code, f"a worker cannot run {task.name}: {error}", 0.0, b"")
    return CellOutcome(code, complaint, (clock.now() - begun) / _NS, packed)


def _ended(task: CellTask, child: ChildRun, clock: RealClock) -> tuple[int, str]:
    """Await its end. Returns its exit code, and its complaint."""
    key = f"{task.batch}/{task.name}"
    _RUNNING[key] = child
    try:
        if task.batch in _STOPPED:
            child.interrupt()
        while (code := child.poll()) is None:
            clock.sleep_until(clock.now() + _POLL)
        return code, child.close()
    finally:
        del _RUNNING[key]


@contextmanager
def _processor(task: CellTask) -> Iterator[int | None]:
    """One of this worker's share for this cell alone; None where it has none."""
    share = task.shares.get(_PROCESS, ())
    with _CHOOSING:
        place = next((each for each in range(len(share)) if each not in _BUSY), None)
        if place is not None:
            _BUSY.add(place)
    try:
        yield None if place is None else share[place]
    finally:
        _BUSY.discard(-1 if place is None else place)


def stop(batch: str, sign: int) -> tuple[str, ...]:
    """Interrupt all cells of a batch here, also those that begin later. Returns the names of those that ran."""
    _STOPPED.add(batch)
    running = [(key, child) for key, child in list(_RUNNING.items()) if key.startswith(f"{batch}/")]
    for _, child in running:
        child.interrupt(signal.Signals(sign))
    return tuple(key.removeprefix(f"{batch}/") for key, _ in running)
