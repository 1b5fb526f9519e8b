"""A sweep has the same table on this machine and on workers of Dask, one of which is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suites import write_experiment

from chaoskit.analysis.sweep_result import load_sweep
from chaoskit.clock import RealClock
from chaoskit.substrate.uml import GuestKernel

_SECOND = 10**9
_DASK = (sys.executable, "-m", "dask")
VARIED = ("--vary", "faults.away.netem.delay=5ms,100ms")


def sweep(kernel: GuestKernel, file: Path, out: Path, *words: str) -> list[str]:
    """The command line of a small sweep in virtual time."""
    fixed = (sys.executable, "-m", "chaoskit", "sweep", "--clock", "virtual", "--kernel", kernel.path, file, "-o", out)
    return [*map(str, fixed), *VARIED, "--report", "csv", *words]


@contextmanager
def dask(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dask whose temporary files are in this folder. It is killed at the end."""
    folder.mkdir()
    environment = os.environ | {"TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*_DASK, *words], env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until_there_is(folder: Path, pattern: str) -> Path:
    """The first file that this pattern finds."""
    clock = RealClock()
    end = clock.now() + 120 * _SECOND
    while not (found := list(folder.glob(pattern))):
        assert clock.now() < end, f"there is no {pattern}"
        clock.sleep_until(clock.now() + _SECOND // 20)
    return found[0]


def test_a_worker_that_dies_loses_its_cell_only(kernel: GuestKernel, tmp_path: Path) -> None:
    """It runs again on the other one, and the table is that of this machine alone, byte for byte."""
    file, place = write_experiment(tmp_path, "small"), tmp_path / "scheduler.json"
    worker = (
        "worker",
        "--scheduler-file",
        str(place),
        "--host",
        "127.0.0.1",
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
    )
    scheduler = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place))

    with (
        dask(tmp_path / "scheduler", *scheduler),
        dask(tmp_path / "one", *worker) as one,
        dask(tmp_path / "two", *worker),
    ):
        until_there_is(tmp_path, place.name)
        address = place.read_text().partition('"address": "')[2].partition('"')[0]
        for name in ("one", "two"):
            until_there_is(tmp_path / name, "dask-scratch-space*/*")
        process = subprocess.Popen(sweep(kernel, file, tmp_path / "far", "--dask", address))
        until_there_is(tmp_path / "one", "chaoskit-cell-*/run/tokens.jsonl")
        one.kill()
        code = process.wait()
    near = subprocess.run(sweep(kernel, file, tmp_path / "near"), check=False)

    assert (code, near.returncode) == (0, 0)
    assert (tmp_path / "far" / "points.csv").read_bytes() == (tmp_path / "near" / "points.csv").read_bytes()
    assert [cell.verdict for cell in load_sweep(tmp_path / "far").cells] == ["met", "broken"]
