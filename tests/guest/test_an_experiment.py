"""Whole experiments through `chaoskit run --substrate uml`: to a verdict, and to a clean end from every moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase, Request

Until = Callable[[Callable[[], object]], None]

EXPERIMENT = """\
name: short
question: Does a delay on the way down show, and does everything end?
stage: {lab: edge}
workload:
  protocol: openai-chat
  max-concurrency: 4
  prompt-size: 1kB
  output-tokens: 15
server:
  first-token: {median: 50ms, p99: 60ms}
  token-interval: 20ms
faults:
  slow: {link: client-router, direction: down, netem: {delay: 60ms}}
timeline: [{baseline: 2s}, {slow: 2s}]
objectives:
  - interruption_rate <= 50%
seed: 42
"""


class Run:
    """`chaoskit run` of the short experiment, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "short.yaml").write_text(EXPERIMENT)
        self.directory = folder / "run"
        self.said = folder / "said"
        words = [
            "run",
            str(folder / "short.yaml"),
            "--out",
            str(self.directory),
            "--substrate",
            "uml",
            "--clock",
            "real",
        ]
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chaoskit", *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def guests(self) -> list[int]:
        """The processes of this run's guest that still live; its scratch is on their command line."""
        own = str(self.directory).encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if b"rootfstype=hostfs" in (line := (process / "cmdline").read_bytes()) and own in line:
                    found.append(int(process.name))
            except OSError:
                continue
        return found

    def reached(self, moment: str) -> bool:
        """Whether the run has come to a phase, to "booting" or to "drain"."""
        if moment == "booting":
            return bool(self.guests())
        return any(phase.name == moment for phase in read(self.directory, Phase))

    def left(self) -> set[str]:
        """Hidden files in the run directory: a guest's scratch would be one."""
        return {path.name for path in self.directory.iterdir() if path.name.startswith(".")}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run under way, ended after the test whatever became of it."""
    run = Run(tmp_path)
    yield run
    run.process.kill()
    run.process.wait()


def first_tokens(run: Run, phase: Phase) -> list[int]:
    """Times to the first token of the requests that began in a phase, ns."""
    return [
        request.first_token - request.started
        for request in read(run.directory, Request)
        if phase.ready <= request.started < phase.until and request.first_token is not None
    ]


def test_an_experiment_shows_its_fault_and_ends(run: Run, until: Until) -> None:
    """The request and the handshake before it each wait for an answer that is 60 ms late, every stream ends, all is put
    back; where the machine had no time for the client it says so and decides nothing."""
    code = run.process.wait(timeout=100)

    result = json.loads((run.directory / "result.json").read_text())
    phases = {phase.name: phase for phase in read(run.directory, Phase)}
    is_slow = result["health"]["overloaded"]
    assert code == (5 if is_slow else 0), run.said.read_text()
    assert result["outcome"]["status"] == "finished"
    assert is_slow or {request.completion for request in read(run.directory, Request)} == {"complete"}
    assert min(first_tokens(run, phases["slow"])) > 120e6
    assert is_slow or min(first_tokens(run, phases["baseline"])) < 120e6
    assert run.left() == set()
    until(lambda: not run.guests())


@pytest.mark.parametrize(
    ("moment", "sign"),
    [("booting", signal.SIGINT), ("slow", signal.SIGTERM), ("drain", signal.SIGINT)],
)
def test_an_interrupt_at_any_moment_ends_it(run: Run, until: Until, moment: str, sign: signal.Signals) -> None:
    """Ctrl-C and kill are passed on, waited for, and told by the exit code; nothing is left."""
    until(lambda: run.reached(moment))

    run.process.send_signal(sign)

    code = run.process.wait(timeout=60)
    assert code == 128 + sign, run.said.read_text()
    assert "Traceback" not in run.said.read_text()
    assert run.left() == set()
    until(lambda: not run.guests())


def test_a_killed_guest_is_one_sentence(run: Run, until: Until) -> None:
    """When somebody kills the guest, the run is refused, says so, and keeps its records."""
    until(lambda: run.reached("baseline"))

    os.kill(min(run.guests()), signal.SIGKILL)

    assert run.process.wait(timeout=60) == 3
    assert "the guest died" in run.said.read_text()
    assert "Traceback" not in run.said.read_text()
    assert read(run.directory, Phase)
    assert run.left() == set()
    until(lambda: not run.guests())


def test_a_killed_chaoskit_leaves_no_guest(run: Run, until: Until) -> None:
    """kill -9 of the command ends its guest within seconds."""
    until(lambda: run.reached("baseline"))

    run.process.kill()

    until(lambda: not run.guests())
    assert run.left() == set()
