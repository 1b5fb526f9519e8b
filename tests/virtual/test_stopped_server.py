"""A reference server that was stopped in the middle of a run is named, and the network is not blamed."""

from __future__ import annotations

import sys

import pytest

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

FILE = """\
name: stopped
question: Whose stalls are these?
stage: {lab: edge}
workload: {request-rate: 4/s, burstiness: 0, output-tokens: 60}
server: {first-token: {median: 100ms, p99: 100ms}, token-interval: 20ms}
timeline: [{baseline: 8s}]
objectives: ["stalls_per_minute < 1"]
"""
STOPPED = 1500  # ms
PROGRAM = """
import os, signal, subprocess, sys, time
from pathlib import Path

def server():
    "The process in whose network namespace something listens; the guest's own has nothing that does."
    for place in Path("/proc").glob("[0-9]*"):
        try:
            tables = [(place / "net" / name).read_text() for name in ("tcp", "tcp6")]
            lines = [line.split() for table in tables for line in table.splitlines()[1:]]
        except OSError:
            continue
        if any(line[3] == "0A" for line in lines):
            return int(place.name)
    return None

folder = Path(sys.argv[1])
words = [sys.executable, "-m", "chaoskit", "run", str(folder / "stopped.yaml"), "--substrate", "here"]
run = subprocess.Popen([*words, "--out", str(folder / "run")])
while (found := server()) is None and run.poll() is None:
    time.sleep(0.05)
time.sleep(4)
os.kill(found, signal.SIGSTOP)
time.sleep(float(sys.argv[2]) / 1000)
os.kill(found, signal.SIGCONT)
sys.exit(run.wait())
"""


@pytest.fixture(scope="module")
def result(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Of a run whose server got SIGSTOP, and SIGCONT a while later."""
    folder = tmp_path_factory.mktemp("stopped")
    (folder / "stopped.yaml").write_text(FILE)
    words = (sys.executable, "-c", PROGRAM, str(folder), str(STOPPED))
    guest = uml.Uml(kernel, options=uml.virtual_time(1)).launch(
        Command(words, folder, Duration.parse("120s")), RealClock()
    )
    assert guest.finish() in (1, 5), guest.log.read_text()
    assert (folder / "run").exists(), guest.log.read_text()
    return analyse(folder / "run")


def test_a_stopped_server_is_named(result: Result) -> None:
    """By how late it was, and that it may have been stopped."""
    assert result.health.server_late_max_ms == pytest.approx(STOPPED, abs=40)
    assert any("the reference server was" in each for each in result.warnings), result.warnings


def test_its_stalls_are_charged_to_it(result: Result) -> None:
    """All streams that were open stall once, for as long, and it is the server's time; none is interrupted."""
    phase = result.phase("baseline")
    causes = phase.stall_attribution

    assert causes.stalls >= 4
    assert causes.server_ms > 0.95 * (causes.server_ms + causes.network_ms + causes.client_ms + causes.unknown_ms)
    assert phase.metrics.max_gap.max_ms == pytest.approx(STOPPED + 20, abs=40)
    assert phase.metrics.interrupted == 0
    assert result.objectives[0].verdict != "met"
