"""Children end well, end early with their own words, or are ended; none outlives its parent."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.conduct.worker import Work, Worker
from chaoskit.errors import ChaoskitError, CrashError, RefusedError, SpecError

DEADLINE = 10**10  # ns
CLOCK = RealClock()


def until_ended(child: Worker) -> None:
    """Look on until it has ended, or fail."""
    deadline = CLOCK.now() + DEADLINE
    while child.is_alive:
        assert CLOCK.now() < deadline
        CLOCK.sleep_until(CLOCK.now() + 5_000_000)


@contextmanager
def ended(child: Worker) -> Iterator[Worker]:
    """Whatever the test does, the child is gone afterwards."""
    try:
        yield child
    finally:
        child.stop(CLOCK, 10**8)


def exists(pid: int) -> bool:
    """Whether a process of that number runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:  # also where it went between the opening and the reading
        return False


async def wait_for_stop(stop: asyncio.Event) -> None:
    """Work until told."""
    await stop.wait()


async def fail(_: asyncio.Event) -> None:
    """The machine's fault."""
    raise RefusedError("no sockets left; ulimit -n 65536")


async def crash(_: asyncio.Event) -> None:
    """Our fault."""
    raise ZeroDivisionError("one by none")


async def misread(_: asyncio.Event) -> None:
    """The author's fault."""
    raise SpecError("the target is no URL")


async def crash_in_a_group(stop: asyncio.Event) -> None:
    """Our fault, beside the machine's."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crash(stop))
        tasks.create_task(fail(stop))


async def fail_in_a_group(stop: asyncio.Event) -> None:
    """The machine's fault, twice."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail(stop))
        tasks.create_task(fail(stop))


async def run_out(_: asyncio.Event) -> None:
    """The machine's fault, as its kernel says it."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def kill_itself(_: asyncio.Event) -> None:
    """Nobody's fault."""
    os.kill(os.getpid(), signal.SIGKILL)


async def ignore_everything(_: asyncio.Event) -> None:
    """Cannot be asked."""
    await asyncio.Event().wait()


async def end(_: asyncio.Event) -> None:
    """Nothing to do."""


def test_a_child_that_has_done_its_work_is_not_alive() -> None:
    """It ended well: False, again and again, and stopping it is nothing."""
    with ended(Worker("worker", nullcontext(), end)) as child:
        until_ended(child)

        assert not child.is_alive


@pytest.mark.parametrize(
    ("work", "fault", "words"),
    [
        (fail, RefusedError, "^no sockets left; ulimit -n 65536"),
        (misread, SpecError, "^the target is no URL"),
        (crash, CrashError, r"the worker ended early: ZeroDivisionError: one by none, at .*test_worker:\d+ crash"),
        (crash_in_a_group, CrashError, "the worker ended early: ZeroDivisionError: one by none, at "),
        (fail_in_a_group, RefusedError, "^no sockets left; ulimit -n 65536"),
        (run_out, RefusedError, "^this machine has run out: No space left on device"),
        (kill_itself, RefusedError, "the worker ended early: killed by SIGKILL"),
    ],
)
def test_a_child_that_fails_says_why(
    work: Work, fault: type[ChaoskitError], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its own words come back as the conductor's error, with the exit code that says whose fault it was."""
    with ended(Worker("worker", nullcontext(), work)) as child, pytest.raises(fault, match=words) as caught:
        until_ended(child)

    assert type(caught.value) is fault
    assert ("this is a mistake in chaoskit itself" in capfd.readouterr().err) == (fault is CrashError)


def test_a_child_ends_when_it_is_asked() -> None:
    """Its stop event is set by the request, and it ends well."""
    child = Worker("worker", nullcontext(), wait_for_stop)

    child.stop(CLOCK)

    assert not exists(child.pid)


def test_a_stubborn_child_is_made_to_end() -> None:
    """After the patience, it is killed."""
    child = Worker("worker", nullcontext(), ignore_everything)

    child.stop(CLOCK, 10**8)

    assert not exists(child.pid)


def test_no_child_outlives_a_killed_parent() -> None:
    """kill -9 of the conductor takes its children along."""
    told, tell = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.write(tell, str(Worker("worker", nullcontext(), ignore_everything).pid).encode())
        signal.pause()
    grandchild = int(os.read(told, 32))

    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    deadline = CLOCK.now() + DEADLINE
    while exists(grandchild) and CLOCK.now() < deadline:
        CLOCK.sleep_until(CLOCK.now() + 5_000_000)

    assert not exists(grandchild)
    os.close(told)
    os.close(tell)


def test_a_stopped_child_dies_with_its_parent_from_the_first_moment() -> None:
    """A child that is stopped right after its start, by SIGSTOP, does not outlive its parent."""
    for _ in range(20):
        reader, writer = os.pipe()
        parent = os.fork()
        if parent == 0:
            child = Worker("server", nullcontext(), wait_for_stop)
            child.send(signal.SIGSTOP)
            os.write(writer, str(child.pid).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(writer)
        pid = int(os.read(reader, 32))
        os.close(reader)
        os.waitpid(parent, 0)
        deadline = CLOCK.now() + 10**9
        while exists(pid) and CLOCK.now() < deadline:
            CLOCK.sleep_until(CLOCK.now() + 5_000_000)
        has_outlived = exists(pid)
        if has_outlived:
            os.kill(pid, signal.SIGKILL)
        assert not has_outlived
