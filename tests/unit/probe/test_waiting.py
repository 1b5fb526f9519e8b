"""Deadlines cancel on time, and name lookups do not block."""

import asyncio
import contextlib
import socket
import time

import pytest

from chaoskit.clock import now
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.transport.dns import Resolver
from chaoskit.records.model import Completion

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

MS = 1_000_000


async def wait_with(deadline: Deadline) -> Completion:
    """Wait endlessly, and return the deadline's reason."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return deadline.reason or "complete"


def guarded(deadline: Deadline) -> asyncio.Task[Completion]:
    """A task that waits endlessly under this deadline."""
    task = asyncio.create_task(wait_with(deadline))
    deadline.watch(task)
    return task


def test_a_task_is_cancelled_at_its_deadline() -> None:
    """The task is cancelled at the deadline, not before, with the deadline's reason."""

    async def main() -> None:
        deadline = Deadline()
        task = guarded(deadline)
        due = now() + 30 * MS
        deadline.reschedule(due, "idle_timeout")

        assert await asyncio.wait_for(task, 5) == "idle_timeout"
        assert now() >= due

    asyncio.run(main())


@pytest.mark.parametrize(("first", "second"), [(20 * MS, 60 * MS), (3600_000 * MS, 60 * MS)])
def test_the_latest_deadline_counts(first: int, second: int) -> None:
    """A deadline can be moved later and earlier."""

    async def main() -> None:
        deadline = Deadline()
        task = guarded(deadline)
        start = now()
        deadline.reschedule(start + first, "connect_failed")
        deadline.reschedule(start + second, "first_token_timeout")

        assert await asyncio.wait_for(task, 5) == "first_token_timeout"
        assert now() - start >= second

    asyncio.run(main())


def test_the_first_cancellation_counts() -> None:
    """A later cancellation changes nothing, and a closed deadline never cancels."""

    async def main() -> None:
        first, closed = Deadline(), Deadline()
        task, other = guarded(first), guarded(closed)
        await asyncio.sleep(0)
        first.cancel("cancelled")
        first.cancel("idle_timeout")
        closed.close()
        closed.cancel("idle_timeout")
        closed.reschedule(now(), "idle_timeout")

        assert await task == "cancelled"
        assert closed.reason is None
        assert not other.done()
        other.cancel()
        await other

    asyncio.run(main())


def test_a_blocked_loop_reads_before_it_cancels() -> None:
    """Bytes that arrived before the deadline move it, however late the loop is; without bytes the task is cancelled."""

    async def listen(deadline: Deadline, here: socket.socket) -> int:
        loop, heard = asyncio.get_running_loop(), 0
        with contextlib.suppress(asyncio.CancelledError):
            while await loop.sock_recv(here, 1):
                heard += 1
                deadline.reschedule(now() + 50 * MS, "idle_timeout")
        return heard

    async def main() -> None:
        here, there = socket.socketpair()
        here.setblocking(False)
        with here, there:
            deadline = Deadline()
            task = asyncio.create_task(listen(deadline, here))
            deadline.watch(task)
            deadline.reschedule(now() + 50 * MS, "first_token_timeout")
            await asyncio.sleep(0)
            there.send(b"x")
            time.sleep(0.1)  # the loop is held up

            assert await asyncio.wait_for(task, 10) == 1
            assert deadline.reason == "idle_timeout"

    asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_not_resolved(host: str) -> None:
    """An address literal is returned without a lookup."""
    found, was_asked = asyncio.run(Resolver().addresses(host, 80))

    assert [address[:2] for _, address in found] == [(host, 80)]
    assert not was_asked


def test_a_name_is_resolved() -> None:
    """A name has the system's addresses, and a lookup was needed."""
    found, was_asked = asyncio.run(Resolver().addresses("localhost", 80))

    assert {family for family, _ in found} <= {socket.AF_INET, socket.AF_INET6}
    assert found
    assert was_asked


def test_a_cancelled_lookup_does_not_block() -> None:
    """After a cancelled lookup the loop ends at once."""

    async def main() -> None:
        lookup = asyncio.create_task(Resolver().addresses("nowhere.invalid", 80))
        await asyncio.sleep(0)
        lookup.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lookup

    asyncio.run(main())
