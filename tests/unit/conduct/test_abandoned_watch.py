"""What `restore --watch` restores and leaves alone, and processes whose numbers mean nothing here."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from simulated_kernel import LeaseHarness, eventually, sleep

from chaoskit.clock import ManualClock
from chaoskit.conduct.abandoned_watch import AbandonedWatch
from chaoskit.conduct.recovery import Recovery
from chaoskit.engine import lock
from chaoskit.engine.lease import Lease, Process
from chaoskit.errors import RefusedError


class EnoughError(Exception):
    """Ends a watch."""


class Looks(ManualClock):
    """A clock that lets a watch look so often, and no more."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count

    def sleep_until(self, stamp: int) -> None:
        """The wait between two looks."""
        super().sleep_until(stamp)
        self.left -= 1
        if self.left == 0:
            raise EnoughError


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[LeaseHarness]:
    """One."""
    harness = LeaseHarness(tmp_path / "bench")
    yield harness
    harness.close()


def recovery(harness: LeaseHarness) -> Recovery:
    """One that works in the harness."""
    return Recovery(harness.leases, harness.kernel.opened, harness.said.append, lock=harness.lock)


def watch(harness: LeaseHarness, looks: int = 1) -> list[str]:
    """Watch for so many looks; what could not be restored."""
    told: list[str] = []
    with pytest.raises(EnoughError):
        AbandonedWatch(recovery(harness), list, told.append, Looks(looks)).run()
    return told


def in_another_container(harness: LeaseHarness) -> Lease:
    """The only lease, held by processes of another PID namespace; their number is that of a process here."""
    namesake = os.fork()
    if namesake == 0:
        sleep()
    harness.pids.append(namesake)
    elsewhere = replace(Process.of(namesake), namespace="1")
    lease = replace(harness.lease, owner=elsewhere, watchdog=elsewhere)
    harness.leases.write(lease)
    return lease


def test_a_running_one_is_left_alone_and_a_dead_one_is_restored(harness: LeaseHarness) -> None:
    """While somebody holds the lock nothing is done and nobody gets a signal; when both are dead everything is back."""
    owner = harness.begun()

    assert watch(harness, looks=3) == []
    assert os.waitpid(owner, os.WNOHANG) == (0, 0)
    assert not harness.is_clean

    for pid in (harness.watchdog(), owner):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not lock.is_taken(harness.lock))

    assert watch(harness) == []
    assert harness.is_clean


def test_what_cannot_be_restored_is_told_once(harness: LeaseHarness) -> None:
    """A torn journal is named at the first look, and not at each of the next."""
    folder = harness.leases.folder("torn")
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_text("hello\n")

    told = watch(harness, looks=3)

    assert len(told) == 1
    assert told[0].startswith("not restored: ")
    assert "line 1 was not written by chaoskit" in told[0]


def test_a_number_of_another_container_is_nobody_here(harness: LeaseHarness) -> None:
    """A lease names pids of its own PID namespace: here they have ended, and get no signal; the lock tells more."""
    owner = harness.begun()
    harness.watchdog()
    lease = in_another_container(harness)

    assert lease.owner is not None
    assert (lease.owner.is_visible, lease.owner.state) == (False, "")
    lease.owner.send_signal(signal.SIGKILL)
    with pytest.raises(RefusedError, match="another chaoskit works in this network namespace"):
        recovery(harness).restore_all()
    assert [os.waitpid(pid, os.WNOHANG) for pid in (owner, lease.owner.pid)] == [(0, 0), (0, 0)]


def test_an_exec_of_another_container_is_left_to_itself(harness: LeaseHarness) -> None:
    """It holds no lock, so that nothing tells whether it runs: `restore` says so; its id restores it."""
    owner = harness.begun()
    for pid in (harness.watchdog(), owner):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not lock.is_taken(harness.lock))
    harness.leases.write(replace(in_another_container(harness), command="exec"))

    recovery(harness).restore_all()

    assert not harness.has_no_lease
    assert "belongs to an exec in another container and is left alone" in harness.said[0]
    recovery(harness).restore_one(harness.lease.id)
    assert harness.is_clean
