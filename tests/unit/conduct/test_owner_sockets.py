"""Settings that end with their owner's sockets, when a watchdog keeps copies of these."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from simulated_kernel import CHANGES, LeaseHarness, SimulatedKernel, eventually, sleep

from chaoskit.conduct.lease_scope import HeldLease


@dataclass(frozen=True)
class Hanging(SimulatedKernel):
    """A kernel in which something is in force as long as a process holds this descriptor."""

    line: int = -1

    def owner_sockets(self) -> tuple[int, ...]:
        """The one."""
        return (self.line,)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[LeaseHarness]:
    """A simulated kernel, and nothing left behind."""
    found = LeaseHarness(tmp_path / "bench")
    yield found
    found.close()


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A pipe by a name that anybody can look at; what is in force hangs on its writing end."""
    path = tmp_path / "line"
    os.mkfifo(path)
    return path


def is_held(line: Path) -> bool:
    """Whether a process has its writing end open."""
    reader = os.open(line, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(reader, 1) != b""
    except BlockingIOError:
        return True
    finally:
        os.close(reader)


def test_a_watchdog_holds_what_its_owner_leaves_to_it(harness: LeaseHarness, line: Path, tmp_path: Path) -> None:
    """Its owner has ended and it is in force still; the watchdog lets it go before it puts anything back."""
    looks = tmp_path / "looks"
    looks.touch()
    theirs = os.open(line, os.O_RDWR)

    def detach(held: HeldLease[SimulatedKernel]) -> None:
        held.kernel = Hanging(harness.kernel.path, line=theirs)
        held.detach()

    def look(when: str) -> None:
        if when == "before":
            with looks.open("a") as file:
                file.write("held " if is_held(line) else "gone ")

    owner = harness.begin(detach, look)
    os.close(theirs)
    assert os.waitstatus_to_exitcode(os.waitpid(owner, 0)[1]) == 0

    assert is_held(line)
    assert harness.restore() == []
    assert looks.read_text().split() == ["held"] * len(CHANGES) + ["gone"] * len(CHANGES)
    assert harness.is_clean


def test_an_owner_takes_it_along(harness: LeaseHarness, line: Path) -> None:
    """The watchdog of an owner that has not detached holds nothing of it."""
    theirs = os.open(line, os.O_RDWR)
    owner = harness.begun(lambda _: sleep())
    os.close(theirs)
    assert is_held(line)

    os.kill(owner, signal.SIGKILL)

    assert eventually(lambda: not is_held(line))
