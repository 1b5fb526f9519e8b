"""Sweeps, searches and suites have the same result on this machine and on workers of Dask, one of which is killed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
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
_DASK = (sys.executable, "-m", "dask")
DELAY = "faults.away.netem.delay"
VARIED = ("--vary", f"{DELAY}=5ms,100ms", "--report", "csv")
PATIENCE = 200  # s


def options(kernel: GuestKernel, file: Path, out: Path) -> list[str]:
    """The words of a command that runs this file in virtual time."""
    return ["--clock", "virtual", "--kernel", str(kernel.path), str(file), "-o", str(out)]


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


@contextmanager
def workers(folder: Path, *names: str) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and its workers, whose folders have these names."""
    place = folder / "scheduler.json"
    here = ("--scheduler-file", str(place), "--host", "127.0.0.1", "--no-dashboard")
    with ExitStack() as stack:
        stack.enter_context(dask(folder / "scheduler", "scheduler", "--port", "0", *here))
        each = [
            stack.enter_context(dask(folder / name, "worker", "--nthreads", "1", "--no-nanny", *here)) for name in names
        ]
        until_there_is(folder, place.name)
        for name in names:
            until_there_is(folder / name, "dask-scratch-space*/*")
        yield json.loads(place.read_text())["address"], each


@dataclass(frozen=True)
class Cluster:
    """The address of a scheduler, and the folder of its workers' folders."""

    address: str
    folder: Path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers."""
    folder = tmp_path_factory.mktemp("dask")
    with workers(folder, "one", "two") as (address, _):
        yield Cluster(address, folder)


def test_a_search_is_the_same_on_other_workers(kernel: GuestKernel, cluster: Cluster, tmp_path: Path) -> None:
    """The doses, the outcomes and the limit of a search on workers of Dask are those of this machine."""
    file = write_experiment(tmp_path, "small")
    asked = ["--vary", DELAY, "--from", "5ms", "--to", "100ms", "--max-runs", "2", "--quiet"]

    far = warm.chaoskit(
        "limit", *options(kernel, file, tmp_path / "far"), *asked, "--dask", cluster.address, limit=PATIENCE
    )
    near = warm.chaoskit("limit", *options(kernel, file, tmp_path / "near"), *asked, "--jobs", "1", limit=PATIENCE)

    assert (far.returncode, near.returncode) == (5, 5), far.stderr + near.stderr
    found = [load_limit(tmp_path / name).searches[0] for name in ("far", "near")]
    assert found[0].estimate == found[1].estimate
    assert [(run.dose, run.held) for run in found[0].runs] == [(run.dose, run.held) for run in found[1].runs]
    assert {run.held for run in found[0].runs} == {True, False}


def test_a_worker_that_dies_loses_its_cell_only(kernel: GuestKernel, tmp_path: Path) -> None:
    """It runs again on the other one, and the table is that of this machine alone, byte for byte."""
    file = write_experiment(tmp_path, "small")
    words = [sys.executable, "-m", "chaoskit", "sweep", *options(kernel, file, tmp_path / "far"), *VARIED]

    with workers(tmp_path, "one", "two") as (address, (one, _)):
        process = subprocess.Popen([*words, "--dask", address])
        until_there_is(tmp_path / "one", "chaoskit-cell-*/run/tokens.jsonl")
        one.kill()
        code = process.wait()
    near = warm.chaoskit("sweep", *options(kernel, file, tmp_path / "near"), *VARIED, limit=PATIENCE)

    assert (code, near.returncode) == (0, 0), near.stderr
    assert (tmp_path / "far" / "points.csv").read_bytes() == (tmp_path / "near" / "points.csv").read_bytes()
    assert [cell.verdict for cell in load_sweep(tmp_path / "far").cells] == ["met", "broken"]


def test_a_suite_is_the_same_on_other_workers(kernel: GuestKernel, cluster: Cluster, tmp_path: Path) -> None:
    """Each of two workers makes a run; the records, the reports and the history are here, in the suite's order."""
    write_experiment(tmp_path, "near", length="1s")
    write_experiment(tmp_path, "far", delay="100ms", length="1s")
    file, out, kept = write_suite(tmp_path, "near.yaml", "{file: far.yaml, expect: broken}"), tmp_path / "out", "h.db"
    asked = ["gameday", *options(kernel, file, out), "--report", "markdown", "--history", str(tmp_path / kept)]

    code = warm.chaoskit(*asked, "--dask", cluster.address, limit=PATIENCE).returncode
    left = [*cluster.folder.glob("*/chaoskit-cell-*")]

    assert code == 0
    assert left == []
    assert [(run.name, run.outcome) for run in load_suite_result(out).runs] == [("near", "met"), ("far", "broken")]
    assert all((out / name / "report.md").is_file() for name in ("near", "far"))
    with closing(sqlite3.connect(tmp_path / kept)) as history:
        rows = history.execute("SELECT name, verdict, run_directory FROM runs ORDER BY rowid").fetchall()
    assert rows == [("near", "met", str(out / "near")), ("far", "broken", str(out / "far"))]
