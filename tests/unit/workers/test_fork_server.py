"""Runs that are forked are the same program: its exit codes, what it says, its signals, and its end with its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.workers.child_run import ChildRun
from chaoskit.workers.fork_server import ForkServer
from chaoskit.workers.launch import Launch, RunProcess

_LIMIT = 60  # s
_OWNER = """\
import os, sys, time
from pathlib import Path
from chaoskit.workers.fork_server import ForkServer
from chaoskit.workers.launch import Launch
given, said, lock = map(int, sys.argv[1:])
run = ForkServer().start(Launch(("-",), Path("out"), None, given, said, lock))
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    """One for all tests: it takes as long to start as a command."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def lock() -> Iterator[int]:
    """A descriptor."""
    found = os.memfd_create("lock")
    yield found
    os.close(found)


def end(run: RunProcess | ChildRun) -> int:
    """Its exit code."""
    until = time.monotonic() + _LIMIT
    while (code := run.poll()) is None:
        assert time.monotonic() < until, "it does not end"
        time.sleep(0.01)
    return code


def waits(forks: ForkServer, lock: int, processor: int | None = None) -> tuple[RunProcess, int, int]:
    """A run that reads an experiment from a pipe that nobody writes; the pipe's other end, and what the run says."""
    given, open_end = os.pipe()
    said = os.memfd_create("said")
    run = forks.start(Launch(("-",), Path("out"), processor, given, said, lock))
    os.close(given)
    return run, open_end, said


def has_begun(said: int) -> list[int]:
    """The processes that have this file as their standard error, once there is one."""
    inode, until = os.fstat(said).st_ino, time.monotonic() + _LIMIT
    while time.monotonic() < until:
        found = [int(each.name) for each in Path("/proc").glob("[0-9]*") if _inode(each / "fd" / "2") == inode]
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("no run began")


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def test_it_ends_and_complains_as_the_command_does(forks: ForkServer, lock: int, tmp_path: Path) -> None:
    """Two at once: a file that is none, and one from standard input with a mistake."""
    missing = ChildRun(forks, ("missing.yaml",), tmp_path / "a", lock, RealClock())
    wrong = ChildRun(forks, ("-",), tmp_path / "b", lock, RealClock(), text="name: a\nnonsense: 1\n")

    assert (end(missing), end(wrong)) == (2, 2)
    assert "missing.yaml" in missing.close()
    assert "nonsense" in wrong.close()


def test_it_has_a_session_and_a_processor_of_its_own_and_the_lock(forks: ForkServer, lock: int) -> None:
    """By its number."""
    processor = max(os.sched_getaffinity(0))
    run, open_end, said = waits(forks, lock, processor)
    (pid,) = has_begun(said)

    assert os.getsid(pid) == pid
    assert os.sched_getaffinity(pid) == {processor}
    assert "lock" in str(Path(f"/proc/{pid}/fd/{lock}").readlink()), "paths may name it by its number"
    run.kill()
    assert end(run) == -signal.SIGKILL
    os.close(open_end)
    os.close(said)


def test_an_interrupt_counts_from_the_first_moment(forks: ForkServer, lock: int) -> None:
    """Also one that comes before the run has looked."""
    run, open_end, said = waits(forks, lock)
    run.send(signal.SIGINT)

    assert end(run) == 130
    assert b"interrupted" in os.pread(said, 1000, 0)
    os.close(open_end)
    os.close(said)


@pytest.mark.parametrize("victim", ["owner", "server"])
def test_it_is_interrupted_when_its_owner_dies(victim: str, lock: int) -> None:
    """By kill -9 of it, or of the server between."""
    given, open_end = os.pipe()
    said = os.memfd_create("said")
    words = [sys.executable, "-c", _OWNER, str(given), str(said), str(lock)]
    with subprocess.Popen(words, pass_fds=(given, said, lock), stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        (pid,) = has_begun(said)
        server = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

        os.kill(owner.pid if victim == "owner" else server, signal.SIGKILL)

        until = time.monotonic() + _LIMIT
        while Path(f"/proc/{pid}").exists() or Path(f"/proc/{server}").exists():
            if victim == "server" and Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                break
            assert time.monotonic() < until, "it goes on"
            time.sleep(0.01)
        owner.kill()
    os.close(open_end)
    os.close(given)
    os.close(said)


def test_runs_of_a_server_that_was_killed_have_ended(lock: int) -> None:
    """As if they had been killed, which its owner tells."""
    forks = ForkServer()
    run, open_end, said = waits(forks, lock)
    (pid,) = has_begun(said)
    server = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    os.kill(server, signal.SIGKILL)

    assert end(run) == -signal.SIGKILL
    forks.close()
    os.close(open_end)
    os.close(said)
