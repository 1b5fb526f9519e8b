"""Sweeps, searches and suites have the same result on this machine and on workers of Dask, one of which is killed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from suites import write_experiment, write_suite

from chaoskit.analysis.limits.limit_result import load_limit
from chaoskit.analysis.suite_result import load_suite_result
from chaoskit.analysis.sweep_result import load_sweep
from chaoskit.clock import RealClock
from chaoskit.substrate.uml import GuestKernel

_SECOND = 10**9
_DASK = (sys.executable, "-m", "dask")
DELAY = "faults.away.netem.delay"
VARIED = ("--vary", f"{DELAY}=5ms,100ms")


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


def test_a_worker_that_dies_loses_its_cell_only(kernel: GuestKernel, tmp_path: Path) -> None:
    """It runs again on the other one, and the table is that of this machine alone, byte for byte."""
    file = write_experiment(tmp_path, "small")

    with workers(tmp_path, "one", "two") as (address, (one, _)):
        process = subprocess.Popen(sweep(kernel, file, tmp_path / "far", "--dask", address))
        until_there_is(tmp_path / "one", "chaoskit-cell-*/run/tokens.jsonl")
        one.kill()
        code = process.wait()
    near = subprocess.run(sweep(kernel, file, tmp_path / "near"), check=False)

    assert (code, near.returncode) == (0, 0)
    assert (tmp_path / "far" / "points.csv").read_bytes() == (tmp_path / "near" / "points.csv").read_bytes()
    assert [cell.verdict for cell in load_sweep(tmp_path / "far").cells] == ["met", "broken"]


def test_a_search_is_the_same_on_other_workers_and_after_a_kill(kernel: GuestKernel, tmp_path: Path) -> None:
    """The doses, the outcomes and the limit of a search on a worker of Dask are those of this machine, where the search
    is killed in its second run, and goes on."""
    file = write_experiment(tmp_path, "small")
    fixed = (sys.executable, "-m", "chaoskit", "limit", "--clock", "virtual", "--kernel", kernel.path, file)
    asked = [*map(str, fixed), "--vary", DELAY, "--from", "5ms", "--to", "100ms", "--max-runs", "3", "--quiet"]
    here = [*asked, "--jobs", "1", "-o", str(tmp_path / "near")]

    with workers(tmp_path, "one") as (address, _):
        far = subprocess.run([*asked, "--dask", address, "-o", str(tmp_path / "far")], check=False)
    killed = subprocess.Popen(here)
    until_there_is(tmp_path / "near", "run-002/tokens.jsonl")
    killed.kill()
    killed.wait()
    near = subprocess.run([*here, "--resume"], check=False)

    assert (far.returncode, near.returncode) == (5, 5)
    found = [load_limit(tmp_path / name).searches[0] for name in ("far", "near")]
    assert found[0].estimate == found[1].estimate
    assert [(run.dose, run.held) for run in found[0].runs] == [(run.dose, run.held) for run in found[1].runs]
    assert {run.held for run in found[0].runs} == {True, False}
    assert [each.name for each in (tmp_path / "near" / "interrupted.runs").iterdir()] == ["run-002-1"]


def test_a_suite_is_the_same_on_other_workers(kernel: GuestKernel, tmp_path: Path) -> None:
    """Each of two workers makes a run; the records, the reports and the history are here, in the suite's order."""
    write_experiment(tmp_path, "near", length="1s")
    write_experiment(tmp_path, "far", delay="100ms", length="1s")
    file, out, kept = write_suite(tmp_path, "near.yaml", "{file: far.yaml, expect: broken}"), tmp_path / "out", "h.db"
    fixed = (sys.executable, "-m", "chaoskit", "gameday", "--clock", "virtual", "--kernel", kernel.path, file)
    asked = [*map(str, fixed), "--out", str(out), "--report", "markdown", "--history", str(tmp_path / kept)]

    with workers(tmp_path, "one", "two") as (address, _):
        code = subprocess.run([*asked, "--dask", address], check=False).returncode
        left = [*(tmp_path / "one").glob("chaoskit-cell-*"), *(tmp_path / "two").glob("chaoskit-cell-*")]

    assert code == 0
    assert left == []
    assert [(run.name, run.outcome) for run in load_suite_result(out).runs] == [("near", "met"), ("far", "broken")]
    assert all((out / name / "report.md").is_file() for name in ("near", "far"))
    with closing(sqlite3.connect(tmp_path / kept)) as history:
        rows = history.execute("SELECT name, verdict, run_directory FROM runs ORDER BY rowid").fetchall()
    assert rows == [("near", "met", str(out / "near")), ("far", "broken", str(out / "far"))]
