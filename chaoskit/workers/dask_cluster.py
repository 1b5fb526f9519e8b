"""Runs cells on the workers of a Dask scheduler; needs the extra `dask`.

Rules: every worker has this version of chaoskit and this guest kernel, which is checked before the first cell, and
again by each cell, because workers come and go. A worker that dies loses its cell only: Dask runs it again on another
one. When the connection to the scheduler is lost, all cells are: Dask cancels them, and no other begins. Nothing waits
without end: neither for the scheduler, nor for a worker.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Client
from distributed.client import logger as dask_log
from distributed.scheduler import KilledWorker

from chaoskit.clock import Clock
from chaoskit.errors import ChaoskitError, RefusedError
from chaoskit.workers import travel
from chaoskit.workers.cell import Cell, EndedCell
from chaoskit.workers.dask_task import (
    CellOutcome,
    CellTask,
    Machine,
    machine,
    mismatch,
    run_cell,
    stop,
    worker_process,
)
from chaoskit.workers.processor_shares import shares

_CONNECT = 20  # s until a scheduler must answer
_PATIENCE = 300 * 10**9  # ns that cells wait for a worker where there is none
_ENDING = 120 * 10**9  # ns from an interruption to the end of what runs
_POLL = 50_000_000
_NS = 10**9


@dataclass(frozen=True)
class Cluster:
    """A scheduler whose workers can be used. `kernel` is the path of a guest kernel on every machine, or None."""

    address: str
    client: Any
    kernel: str | None
    expected: Machine


def connect(address: str, kernel: Path | None) -> Cluster:
    """Connect, and check the workers. Raises RefusedError where no scheduler answers, or a worker cannot be used."""
    place = str(kernel) if kernel is not None else None
    dask_log.setLevel("CRITICAL")  # a lost connection is told by `DaskWorkers`
    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise RefusedError(
            f"no Dask scheduler answers at {address} ({error}): start one with dask scheduler, and workers with "
            "dask worker tcp://HOST:8786"
        ) from error
    cluster = Cluster(address, client, place, machine(place))
    try:
        _check(cluster)
    except BaseException:
        client.close()
        raise
    return cluster


def _check(cluster: Cluster) -> None:
    """Raises RefusedError for workers that cannot be used, and where there is none."""
    address = cluster.address
    try:
        found = cluster.client.run(machine, cluster.kernel)
    except ImportError as error:
        raise RefusedError(f"a worker of {address} has no chaoskit: pip install 'chaoskit[dask]'") from error
    except OSError as error:
        raise RefusedError(f"the workers of {address} do not answer: {error}") from error
    if not found:
        raise RefusedError(f"{address} has no workers: dask worker {address} --nworkers 2 --nthreads 1")
    for worker, there in found.items():
        if reason := mismatch(there, cluster.expected):
            raise RefusedError(f"the worker {worker} is not used: {reason}")


class DaskWorkers:
    """`Workers` whose run directories come back into `folder`."""

    def __init__(self, cluster: Cluster, folder: Path, clock: Clock) -> None:
        self._cluster, self._client = cluster, cluster.client
        self._folder, self._clock = folder, clock
        self._batch = secrets.token_hex(8)
        self._running: dict[str, tuple[Cell, Any, int]] = {}
        self._why, self._sign, self._interrupted_at = "", signal.SIGINT, 0
        self._is_told, self._alone_since, self._is_gone = False, 0, False
        self._loss = f"the connection to the Dask scheduler {cluster.address} was lost"
        self._cells: dict[str, int] = {}
        self._shares: dict[str, tuple[int, ...]] = {}

    @property
    def slots(self) -> int:
        """As `Workers.slots`: a cell for each thread of each worker; 1 while there is none."""
        return max(1, sum(self._threads().values()))

    def _threads(self) -> dict[str, int]:
        """Those of each worker; none once the scheduler is lost."""
        return dict(self._asked(self._client.nthreads, {}))

    def _asked(self, question: Callable[[], Any], otherwise: Any) -> Any:
        """What the scheduler answers; `otherwise` once the connection to it is lost."""
        try:
            if not self._is_lost():
                return question()
        except OSError:  # as distributed.comm.CommClosedError is
            self._is_gone = True
        return otherwise

    def _is_lost(self) -> bool:
        """Whether the connection to the scheduler is. Dask may connect again, but has cancelled all cells by then."""
        self._is_gone = self._is_gone or self._client.status != "running"
        return self._is_gone

    def start(self, cell: Cell) -> None:
        """As `Workers.start`."""
        self._shares = self._shared()
        if self._is_lost():
            raise RefusedError(f"{self._loss}: start it and its workers again")
        file, *words = cell.words
        cluster = self._cluster
        task = CellTask(
            batch=self._batch,
            name=cell.name,
            file=Path(file).name,
            words=tuple(words),
            files=travel.packed(cell),
            kernel=cluster.kernel,
            expected=cluster.expected,
            shares=self._shares,
        )
        future = self._client.submit(run_cell, task, key=f"{self._batch}-{cell.name}", pure=False)
        self._running[cell.name] = cell, future, self._clock.now()

    def _shared(self) -> dict[str, tuple[int, ...]]:
        """The processors of each worker, found out anew when workers come or go."""
        cells = self._threads()
        if cells == self._cells:
            return self._shares
        self._cells = cells
        told = (self._run(worker_process, threads, workers=[address]) for address, threads in sorted(cells.items()))
        return shares([each for found in told for each in found.values()])

    def _run(self, function: Callable[..., Any], *values: Any, **where: Any) -> dict[str, Any]:
        """What this function returns on each worker that answers."""
        return dict(self._asked(lambda: self._client.run(function, *values, on_error="ignore", **where), {}))

    def ended(self, timeout: int) -> Sequence[EndedCell]:
        """As `Workers.ended`."""
        until = self._clock.now() + timeout
        while not (found := self._collect()) and self._clock.now() < until:
            self._clock.sleep_until(min(until, self._clock.now() + _POLL))
        return found

    def _collect(self) -> list[EndedCell]:
        if self._interrupted_at and not self._is_told:
            self._tell()
        is_late = bool(self._interrupted_at) and self._clock.now() - self._interrupted_at > _ENDING
        given_up = is_late or self._has_no_worker() or self._is_lost()
        found = []
        for name, (cell, future, begun) in list(self._running.items()):
            if not (future.done() or given_up):
                continue
            del self._running[name]
            outcome = self._outcome(future)
            future.release()
            found.append(self._ended(cell, outcome, (self._clock.now() - begun) / _NS))
        return found

    def _outcome(self, future: Any) -> CellOutcome:
        """What a worker returned, or how it was lost."""
        if not future.done():
            return _lost(self._loss if self._is_lost() else "no worker came for it", self._interrupted_at)
        try:
            found: CellOutcome = future.result(timeout=_CONNECT)
        except CancelledError:
            return _lost(self._loss, self._interrupted_at) if self._is_lost() else _lost("it was cancelled", 1)
        except KilledWorker as error:
            return _lost(f"each worker that ran it died: {error}", 0)
        except Exception as error:  # noqa: BLE001  whatever the worker, or what it was sent with, raised
            return _lost(f"its worker failed: {type(error).__name__}: {error}", 0)
        return found

    def _ended(self, cell: Cell, outcome: CellOutcome, seconds: float) -> EndedCell:
        directory = self._folder / cell.name
        code, complaint = outcome.code, outcome.complaint
        try:
            travel.restore(outcome.archive, directory)
        except ChaoskitError as error:
            code, complaint = RefusedError.exit_code, str(error)
        return EndedCell(cell, directory, code, complaint, self._why, seconds)

    def _has_no_worker(self) -> bool:
        """Whether there has been none for too long."""
        if not self._running or self._threads():
            self._alone_since = 0
            return False
        self._alone_since = self._alone_since or self._clock.now()
        return self._clock.now() - self._alone_since > _PATIENCE

    def _tell(self) -> None:
        """Tell the workers that all cells are interrupted; cells that no worker has begun are cancelled."""
        self._is_told = True
        told = self._run(stop, self._batch, int(self._sign))
        begun = {name for names in told.values() for name in names}
        waiting = [future for name, (_, future, _) in self._running.items() if name not in begun]
        self._asked(lambda: self._client.cancel(waiting), None)

    def running(self) -> dict[str, int]:
        """As `Workers.running`."""
        now = self._clock.now()
        return {name: now - begun for name, (_, _, begun) in self._running.items()}

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Workers.interrupt`. A signal handler may call it, so that the workers are told by the next `ended`."""
        self._sign, self._interrupted_at, self._is_told = sign, self._clock.now(), False

    def stop(self, why: str) -> None:
        """As `Workers.stop`."""
        if not self._why:
            self._why = why
            self.interrupt()

    def close(self) -> None:
        """As `Workers.close`."""
        if self._running:
            self.interrupt()
        while self._running:
            self.ended(_NS)
        self._client.close()


def _lost(why: str, interrupted: int) -> CellOutcome:
    return CellOutcome(130 if interrupted else RefusedError.exit_code, why, 0.0, b"")
