"""Tests guests whose programs compute without a pause in virtual time: they end with chaoskit, and at a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.clock import RealClock

Until = Callable[[Callable[[], object]], None]
Alive = Callable[[int], list[int]]
LAB = Path(__file__).parents[2] / "experiments" / "loss-first-token.yaml"
SERVICE = """\
name: busy
question: Does it end?
stage:
  lab: service
  hosts:
    model: {reference: true}
    spinner: {run: [python3, -c, "while True: pass"]}
  target: http://model:8000/v1/chat/completions
workload: {protocol: openai-chat, max-concurrency: 1}
faults:
  far: {host: model, direction: both, netem: {delay: 20ms}}
timeline: [{baseline: 1s}, {far: 1s}]
"""
BUSY = "print('begun', flush=True)\nwhile True: pass"
DEAF = "import signal, time\nfor each in (1, 2, 15): signal.signal(each, signal.SIG_IGN)\nprint('begun', flush=True)\n"
DEAF += "while True: time.sleep(0.05)"


def begin(script: str, *options: str, file: Path = LAB) -> subprocess.Popen[str]:
    """A Python script as the command of `exec` in a guest."""
    words = [sys.executable, "-m", "chaoskit", "exec", str(file), *options, "--", "python3", "-c", script]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def guest_of(process: subprocess.Popen[str]) -> int:
    """The guest's kernel, which leads a session of its own; 0 while there is none."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return next((int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().startswith("linux")), 0)


def began(process: subprocess.Popen[str]) -> int:
    """Wait until its command computes; returns its guest."""
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return guest_of(process)


@pytest.mark.parametrize("options", [("--clock", "virtual"), ("--kernel", "linux.uml")], ids=["virtual", "Debian's"])
def test_a_killed_chaoskit_leaves_no_busy_guest(until: Until, alive: Alive, options: tuple[str, ...]) -> None:
    """kill -9 of `exec` ends a guest whose command never waits, and all its processes."""
    with begin(BUSY, *options) as process:
        guest = began(process)

        process.kill()

    until(lambda: not alive(guest))


def test_a_killed_chaoskit_leaves_no_busy_host(tmp_path: Path, until: Until, alive: Alive) -> None:
    """Nor one in which a program of a service lab computes, while the command waits to begin."""
    (tmp_path / "busy.yaml").write_text(SERVICE)
    with begin(BUSY, "--clock", "virtual", file=tmp_path / "busy.yaml") as process:
        until(lambda: guest_of(process))
        guest, clock = guest_of(process), RealClock()
        clock.sleep_until(clock.now() + 8 * 10**9)  # the program has nothing to say about itself

        process.kill()

    until(lambda: not alive(guest))


def test_a_killed_guest_leaves_no_running_program(until: Until, alive: Alive) -> None:
    """A kernel that is killed while nobody looks takes its programs' processes with it, Debian's too."""
    with begin(BUSY, "--kernel", "linux.uml") as process:
        guest = began(process)
        process.send_signal(signal.SIGSTOP)

        os.kill(guest, signal.SIGKILL)

        until(lambda: not alive(guest))
        process.kill()


def test_a_signal_ends_a_busy_guest(until: Until, alive: Alive) -> None:
    """The guest cannot take it, so it is killed after seconds, and that is said."""
    with begin(BUSY, "--clock", "virtual") as process:
        guest = began(process)

        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGINT
    assert said.splitlines()[-1] == "chaoskit: interrupted; the command did not end, so its guest was killed"
    until(lambda: not alive(guest))


@pytest.mark.parametrize("signs", [(signal.SIGTERM,), (signal.SIGINT,) * 3], ids=["SIGTERM", "Ctrl-C three times"])
def test_a_command_that_ignores_signals_is_ended(signs: tuple[signal.Signals, ...]) -> None:
    """SIGTERM gives it ten seconds; the third Ctrl-C ends it at once."""
    with begin(DEAF, "--substrate", "uml") as process:
        began(process)
        clock = RealClock()

        for sign in signs:
            process.send_signal(sign)
            clock.sleep_until(clock.now() + 500_000_000)
        process.communicate(timeout=60)

    assert process.returncode == 128 + signs[0]
