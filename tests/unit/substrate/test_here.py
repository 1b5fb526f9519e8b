"""Tests commands in this kernel: exit code, output, interruption and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.clock import ManualClock, RealClock
from chaoskit.errors import RefusedError
from chaoskit.substrate.here import Child, Here
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

FOREVER = "touch begun; while :; do sleep 0.05; done"


def launch(folder: Path, script: str, clock: RealClock | ManualClock | None = None) -> Child:
    """Run a shell script in a folder."""
    command = Command(("sh", "-c", f"cd '{folder}' && {script}"), folder, Duration.parse("20s"))
    return Here().launch(command, clock or RealClock())


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, up to ten seconds."""
    clock = RealClock()
    deadline = clock.now() + 10 * 10**9
    while not condition():
        assert clock.now() < deadline, "it did not come true within 10 s"
        clock.sleep_until(clock.now() + 5_000_000)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_exit_code_and_the_output_are_returned(tmp_path: Path) -> None:
    """A command's exit code is returned, and its output is in conduct.log."""
    child = launch(tmp_path, "echo hi; echo ho >&2; exit 7")

    assert child.finish() == 7
    assert (tmp_path / "conduct.log").read_text() == "hi\nho\n"


def test_a_command_that_dies_by_a_signal(tmp_path: Path) -> None:
    """It comes back as a shell would say it: 128 and the signal's number."""
    assert launch(tmp_path, "kill -TERM $$").finish() == 128 + signal.SIGTERM


def test_it_runs_in_a_session_of_its_own(tmp_path: Path) -> None:
    """A Ctrl-C at our terminal does not reach it."""
    child = launch(tmp_path, FOREVER)
    try:
        assert os.getsid(child.pid) == child.pid
    finally:
        child.close()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_reaches_the_command(tmp_path: Path, sign: signal.Signals) -> None:
    """The command gets the very signal, and may end as it likes."""
    child = launch(tmp_path, f"trap 'exit 5' {sign.name.removeprefix('SIG')}; {FOREVER}")
    until((tmp_path / "begun").exists)

    child.interrupt(sign)

    assert child.finish() == 5
    child.interrupt(sign)  # too late, and no harm


def test_a_command_that_hangs_is_ended_at_its_limit(tmp_path: Path) -> None:
    """After its limit it is killed with what it started, and the message has the end of its log."""
    clock = ManualClock()
    child = launch(tmp_path, f"echo nearly; trap '' INT TERM; sleep 1000 & echo $! > kept; {FOREVER}", clock)
    until((tmp_path / "begun").exists)
    clock.sleep_until(20 * 10**9)

    with pytest.raises(RefusedError, match=r"did not end within 20s(.|\n)*nearly"):
        child.poll()

    until(lambda: not is_alive(child.pid) and not is_alive(int((tmp_path / "kept").read_text())))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is refused by its name."""
    with pytest.raises(RefusedError, match="gone"):
        Here().launch(Command(("true",), tmp_path / "gone", Duration.parse("1s")), RealClock())


HOST = """
import sys
from pathlib import Path
from chaoskit.clock import RealClock
from chaoskit.substrate.here import Here
from chaoskit.substrate.running import Command
from chaoskit.units import Duration
child = Here().launch(Command(("sh", "-c", sys.argv[2]), Path(sys.argv[1]), Duration.parse("1min")), RealClock())
print(child.pid, flush=True)
child.finish()
"""


def test_the_command_is_interrupted_when_we_are_killed(tmp_path: Path) -> None:
    """kill -9 of the process that started it interrupts the command, so that it can restore."""
    script = f"cd '{tmp_path}'; trap 'touch restored; exit' INT; {FOREVER}"
    with subprocess.Popen([sys.executable, "-c", HOST, str(tmp_path), script], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        until((tmp_path / "begun").exists)

        host.kill()

    until((tmp_path / "restored").exists)
    until(lambda: not is_alive(pid))
