"""A suite of short experiments runs in virtual time, side by side, and goes on after every kind of end."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from suites import write_experiment, write_suite

from chaoskit.analysis.suite_result import load_suite_result
from chaoskit.clock import RealClock
from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase
from chaoskit.substrate.uml import GuestKernel

_SECOND = 10**9


def words(kernel: GuestKernel, *arguments: object) -> list[str]:
    """The command line of a suite in virtual time."""
    fixed = (sys.executable, "-m", "chaoskit", "gameday", "--clock", "virtual", "--kernel", kernel.path)
    return [*map(str, fixed), *map(str, arguments)]


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    clock = RealClock()
    end = clock.now() + 90 * _SECOND
    while not condition():
        assert clock.now() < end, "it does not happen"
        clock.sleep_until(clock.now() + _SECOND // 20)


def test_a_suite_is_killed_interrupted_and_ends(kernel: GuestKernel, tmp_path: Path) -> None:
    """After -9 and after Ctrl-C it goes on with what has no verdict; a known weakness and a met objective pass.

    Its verdicts are those of `chaoskit run`, its folder holds their records and the reports, and nothing else is left.
    """
    write_experiment(tmp_path, "near")
    write_experiment(tmp_path, "far", delay="100ms")
    file, out = write_suite(tmp_path, "near.yaml", "{file: far.yaml, expect: broken}"), tmp_path / "out"
    call = words(kernel, file, "--out", out, "--jobs", "2", "--report", "junit,markdown")
    call += ["--history", str(tmp_path / "history.sqlite3")]

    first = subprocess.Popen(call, stdout=subprocess.DEVNULL)
    until(lambda: (out / "near").is_dir() and bool(read(out / "near", Phase)))
    first.kill()
    first.wait()
    second = subprocess.Popen([*call, "--resume"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: (out / "interrupted.runs").is_dir() and (out / "near" / "machine.json").exists())
    second.send_signal(signal.SIGINT)
    said = second.communicate()
    interrupted = load_suite_result(out)
    last = subprocess.run([*call, "--resume"], capture_output=True, text=True, check=False)

    assert second.returncode == 130, said
    assert interrupted.status == "interrupted"
    assert last.returncode == 0, last.stdout + last.stderr
    found = load_suite_result(out)
    assert [(run.name, run.outcome) for run in found.runs] == [("near", "met"), ("far", "broken")]
    assert all(json.loads((out / name / "result.json").read_text())["clock"] == "virtual" for name in ("near", "far"))
    assert all((out / place).is_file() for place in ("junit.xml", "report.md", "near/junit.xml", "far/report.md"))
    with closing(sqlite3.connect(tmp_path / "history.sqlite3")) as history:
        kept = history.execute("SELECT name FROM runs WHERE verdict IN ('met', 'broken')").fetchall()
    assert {name for (name,) in kept} == {"near", "far"}
    assert "PASSED   all 2 runs as expected: 1 broken, 1 met" in last.stdout
    assert not [pid for pid in Path("/proc").iterdir() if pid.name.isdecimal() and str(out) in _command_line(pid)]


def _command_line(process: Path) -> str:
    try:
        return os.fsdecode((process / "cmdline").read_bytes())
    except OSError:
        return ""
