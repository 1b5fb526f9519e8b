"""Sweeps, searches and suites have the same result on this machine and on workers of Dask, one of which is killed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import warm
from suites import write_experiment, write_suite

from chaoskit.analysis.limits.limit_result import load_limit
from chaoskit.analysis.suite_result import load_suite_result
from chaoskit.analysis.sweep_result import load_sweep
from chaoskit.clock import RealClock
from chaoskit.substrate.uml import GuestKernel

_SECOND = 10**9
PATIENCE = 280  # s
_DASK = (sys.executable, "-m", "dask")
DELAY = "faults.away.netem.delay"
VARIED = ("--vary", f"{DELAY}=5ms,100ms")


def sweep(kernel: GuestKernel, file: Path, out: Path, *words: str) -> list[str]:
    """The words of a small sweep in virtual time."""
    fixed = ("sweep", "--clock", "virtual", "--kernel", kernel.path, file, "-o", out)
    return [*map(str, fixed), *VARIED, "--report", "csv", *words]


def started(words: list[str]) -> subprocess.Popen[bytes]:
    """A command that is under way."""
    return subprocess.Popen([sys.executable, "-m", "chaoskit", *words])


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


@dataclass(frozen=True)
class Cluster:
    """A scheduler of Dask, and the folder of its one worker. More can join it."""

    place: Path
    worker: Path

    @property
    def address(self) -> str:
        """That of the scheduler."""
        return str(json.loads(self.place.read_text())["address"])

    @contextmanager
    def more(self, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Another worker, whose temporary files are in this folder."""
        with dask(folder, "worker", "--nthreads", "1", "--no-nanny", *here(self.place)) as process:
            until_there_is(folder, "dask-scratch-space*/*")
            yield process


def here(place: Path) -> tuple[str, ...]:
    """What a process of a cluster of this machine is told."""
    return "--scheduler-file", str(place), "--host", "127.0.0.1", "--no-dashboard"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests: its processes take seconds to start."""
    folder = tmp_path_factory.mktemp("cluster")
    found = Cluster(folder / "scheduler.json", folder / "worker")
    with dask(folder / "scheduler", "scheduler", "--port", "0", *here(found.place)):
        until_there_is(folder, found.place.name)
        with found.more(found.worker):
            yield found


def test_a_worker_that_dies_loses_its_cell_only(kernel: GuestKernel, cluster: Cluster, tmp_path: Path) -> None:
    """It runs again on the other one, and the table is that of this machine alone, byte for byte."""
    file = write_experiment(tmp_path, "small")

    with cluster.more(tmp_path / "one") as one:
        process = started(sweep(kernel, file, tmp_path / "far", "--dask", cluster.address))
        until_there_is(tmp_path / "one", "chaoskit-cell-*/run/tokens.jsonl")
        one.kill()
        code = process.wait()
    near = warm.chaoskit(*sweep(kernel, file, tmp_path / "near"), limit=PATIENCE)

    assert (code, near.returncode) == (0, 0)
    assert (tmp_path / "far" / "points.csv").read_bytes() == (tmp_path / "near" / "points.csv").read_bytes()
    assert [cell.verdict for cell in load_sweep(tmp_path / "far").cells] == ["met", "broken"]


def test_a_search_is_the_same_on_other_workers_and_after_a_kill(
    kernel: GuestKernel, cluster: Cluster, tmp_path: Path
) -> None:
    """The doses, the outcomes and the limit of a search on a worker of Dask are those of this machine, where the search
    is killed in its second run, and goes on."""
    file = write_experiment(tmp_path, "small")
    fixed = ("limit", "--clock", "virtual", "--kernel", kernel.path, file)
    asked = [*map(str, fixed), "--vary", DELAY, "--from", "5ms", "--to", "100ms", "--max-runs", "2", "--quiet"]
    near = [*asked, "--jobs", "1", "-o", str(tmp_path / "near")]

    far = warm.chaoskit(*asked, "--dask", cluster.address, "-o", str(tmp_path / "far"), limit=PATIENCE)
    killed = started(near)
    until_there_is(tmp_path / "near", "run-002/tokens.jsonl")
    killed.kill()
    killed.wait()
    resumed = warm.chaoskit(*near, "--resume", limit=PATIENCE)

    assert (far.returncode, resumed.returncode) == (5, 5)
    found = [load_limit(tmp_path / name).searches[0] for name in ("far", "near")]
    assert found[0].estimate == found[1].estimate
    assert [(run.dose, run.held) for run in found[0].runs] == [(run.dose, run.held) for run in found[1].runs]
    assert {run.held for run in found[0].runs} == {True, False}
    assert [each.name for each in (tmp_path / "near" / "interrupted.runs").iterdir()] == ["run-002-1"]


def test_a_suite_is_the_same_on_other_workers(kernel: GuestKernel, cluster: Cluster, tmp_path: Path) -> None:
    """A worker makes its runs; the records, the reports and the history are here, in the suite's order."""
    write_experiment(tmp_path, "near", length="1s")
    write_experiment(tmp_path, "far", delay="100ms", length="1s")
    file, out, kept = write_suite(tmp_path, "near.yaml", "{file: far.yaml, expect: broken}"), tmp_path / "out", "h.db"
    fixed = ("gameday", "--clock", "virtual", "--kernel", kernel.path, file, "--out", out, "--dask", cluster.address)

    done = warm.chaoskit(*map(str, fixed), "--report", "markdown", "--history", str(tmp_path / kept), limit=PATIENCE)

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(cluster.worker.glob("chaoskit-cell-*")) == []
    assert [(run.name, run.outcome) for run in load_suite_result(out).runs] == [("near", "met"), ("far", "broken")]
    assert all((out / name / "report.md").is_file() for name in ("near", "far"))
    with closing(sqlite3.connect(tmp_path / kept)) as history:
        rows = history.execute("SELECT name, verdict, run_directory FROM runs ORDER BY rowid").fetchall()
    assert rows == [("near", "met", str(out / "near")), ("far", "broken", str(out / "far"))]
