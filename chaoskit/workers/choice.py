"""Chooses the workers of a command: the processors of this machine, or those of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError, SpecError
from chaoskit.workers.cell import Workers
from chaoskit.workers.local import LocalWorkers
from chaoskit.workers.runs_folder import RunsFolder

InFolder = Callable[[RunsFolder], Workers]
"""Workers whose run directories are in that folder."""


def require_dask(is_alone: bool, jobs: int | None) -> None:
    """Raises SpecError where cells cannot run on other machines, RefusedError where Dask is not installed."""
    if is_alone:
        raise SpecError("--dask needs virtual time: other machines do not have this one's interfaces and quiet")
    if jobs is not None:
        raise SpecError(
            "--jobs counts this machine's runs; with --dask each thread of a worker runs one: remove --jobs"
        )
    if find_spec("distributed") is None:
        raise RefusedError("--dask needs distributed: pip install 'chaoskit[dask]'")


def local(jobs: int, clock: Clock) -> InFolder:
    """So many of this machine."""
    return lambda folder: LocalWorkers(folder.path, jobs, folder.lock, clock)


def of_dask(address: str, clock: Clock, kernel: Path | None) -> InFolder:
    """Those of this scheduler; `kernel` is the path of a guest kernel. Raises RefusedError: they cannot be used."""
    from chaoskit.workers.dask_cluster import DaskWorkers, connect  # here, not at the top: it loads an extra

    cluster = connect(address, kernel)
    return lambda folder: DaskWorkers(cluster, folder.path, clock)
