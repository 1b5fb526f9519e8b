"""Chooses the workers of a command: the processors of this machine, or those of a Dask scheduler."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError, SpecError
from chaoskit.substrate.virtual_time import find
from chaoskit.units import Size
from chaoskit.workers import resources
from chaoskit.workers.cell import Workers
from chaoskit.workers.fork_server import ForkServer
from chaoskit.workers.local import LocalWorkers
from chaoskit.workers.split import SplitWorkers

_SCHEMES = ("tcp", "tls", "ucx", "ws", "wss")  # distributed.comm
InFolder = Callable[[Path, int], Workers]
"""Workers whose run directories are in that folder, with its lock, a descriptor that each run holds open."""


def choose(
    dask: str | None, jobs: int | None, is_alone: bool, memory: Size | None, kernel: Path | None, clock: Clock
) -> InFolder:
    """The workers for cells of which some may run side by side, or none (`is_alone`).

    `dask` is the address of a scheduler, for those that may; without it `jobs` cells run on this machine, or as many as
    it has processors and memory. `memory` is that of a guest, None where there is none; `kernel` the path of a guest
    kernel. Raises SpecError where the options do not fit, RefusedError where the workers or the memory do not suffice.
    """
    if dask is not None:
        _require_dask(dask, is_alone, jobs, kernel)
        return _of_dask(dask, clock, kernel)
    if is_alone:
        return lambda folder, lock: LocalWorkers(folder, 1, lock, clock)
    processors = len(os.sched_getaffinity(0))
    count = resources.jobs(jobs, processors, memory, resources.memory())
    return lambda folder, lock: LocalWorkers(folder, count, lock, clock, ForkServer())


def _require_dask(address: str, is_alone: bool, jobs: int | None, kernel: Path | None) -> None:
    """Raises SpecError where cells cannot run on other machines, RefusedError without a guest kernel, or Dask."""
    if not _is_address(address):
        raise SpecError(f"--dask: found {address!r}, expected the address of a scheduler: tcp://HOST:8786")
    if is_alone and isinstance(missing := find(kernel), str):
        raise RefusedError(missing)
    if is_alone:
        raise SpecError("--dask needs virtual time: other machines do not have this one's interfaces and quiet")
    if jobs is not None:
        raise SpecError(
            "--jobs counts this machine's runs; with --dask each thread of a worker runs one: remove --jobs"
        )
    if find_spec("distributed") is None:
        raise RefusedError("--dask needs distributed: pip install 'chaoskit[dask]'")


def _is_address(text: str) -> bool:
    try:
        found = urlsplit(text)
        return found.scheme in _SCHEMES and bool(found.hostname) and found.port is not None
    except ValueError:  # a port that is none
        return False


def _of_dask(address: str, clock: Clock, kernel: Path | None) -> InFolder:
    """Those of this scheduler; `kernel` is the path of a guest kernel. Raises RefusedError: they cannot be used."""
    from chaoskit.workers.dask_cluster import DaskWorkers, connect  # here, not at the top: it loads an extra

    cluster = connect(address, kernel)
    return lambda folder, lock: SplitWorkers(LocalWorkers(folder, 1, lock, clock), DaskWorkers(cluster, folder, clock))
