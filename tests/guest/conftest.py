"""What the guest tier needs: a guest kernel, a way to wait, and a look at what is left of a guest.

The tier never skips: without a guest kernel every test in it fails and says what to install.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

Until = Callable[[Callable[[], object]], None]


@pytest.fixture(scope="session")
def kernel() -> uml.GuestKernel:
    """The guest kernel of this machine."""
    return uml.find()


@pytest.fixture
def until() -> Until:
    """Wait for a condition, up to a minute."""

    def wait(condition: Callable[[], object]) -> None:
        clock = RealClock()
        deadline = clock.now() + 60 * 10**9
        while not condition():
            assert clock.now() < deadline, "it did not come true within a minute"
            clock.sleep_until(clock.now() + 20_000_000)

    return wait


@pytest.fixture
def boot(kernel: uml.GuestKernel, tmp_path: Path) -> Callable[..., uml.Guest]:
    """Run words in a guest that may write in the test's folder."""

    def run(*words: str, limit: str = "100s") -> uml.Guest:
        return uml.Uml(kernel).launch(Command(words, tmp_path, Duration.parse(limit)), RealClock())

    return run


@pytest.fixture
def alive() -> Callable[[int], list[int]]:
    """The processes of a session that still live (zombies do not)."""

    def look(session: int) -> list[int]:
        return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _lives_in(stat, session)]

    return look


def _lives_in(stat: Path, session: int) -> bool:
    """proc_pid_stat(5): after the name in brackets come state, parent, group and session."""
    try:
        state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return False
    return int(its_session) == session and state != "Z"
