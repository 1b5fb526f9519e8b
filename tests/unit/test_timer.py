"""Calls are made at their time: never before, in order, whatever one of them does."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from chaoskit import clock
from chaoskit.timer import AbsoluteTimer

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

MS = 1_000_000


def test_never_early_and_in_order() -> None:
    """Every call comes at or after its stamp, earlier stamps first, however they were handed in."""

    async def work() -> list[tuple[int, int]]:
        pacer, done, made = AbsoluteTimer(), asyncio.Event(), []
        start = clock.now()

        def call(stamp: int) -> Callable[[], None]:
            def note() -> None:
                made.append((stamp, clock.now()))
                if len(made) == 40:
                    done.set()

            return note

        for step in [7, 3, 39, 1, *range(8, 39), 0, 2, 4, 5, 6]:
            stamp = start + step * MS // 2
            pacer.at(stamp, call(stamp))
        await asyncio.wait_for(done.wait(), 10)
        pacer.close()
        return made

    made = asyncio.run(work())

    assert [stamp for stamp, _ in made] == sorted(stamp for stamp, _ in made)
    assert all(at >= stamp for stamp, at in made)


def test_finer_than_a_millisecond() -> None:
    """Half of the calls come within half a millisecond: the loop's own timers cannot."""

    async def work() -> list[int]:
        pacer, late = AbsoluteTimer(), []
        for _ in range(101):
            done = asyncio.Event()
            stamp = clock.now() + MS + 300_000

            def note(stamp: int = stamp, done: asyncio.Event = done) -> None:
                late.append(clock.now() - stamp)
                done.set()

            pacer.at(stamp, note)
            await asyncio.wait_for(done.wait(), 10)
        pacer.close()
        return late

    assert sorted(asyncio.run(work()))[50] < 500_000


def test_a_call_may_ask_again() -> None:
    """A call that asks to be called again at once does not keep the loop from its other work."""

    async def work() -> int:
        pacer, count = AbsoluteTimer(), 0

        def again() -> None:
            nonlocal count
            count += 1
            pacer.at(0, again)

        pacer.at(0, again)
        while count < 10:
            await asyncio.sleep(0)
        pacer.close()
        return count

    assert asyncio.run(work()) >= 10


def test_one_failing_call_harms_no_other() -> None:
    """When a call raises, those that come later are still made."""

    async def work() -> list[str]:
        loop, pacer, done, seen = asyncio.get_running_loop(), AbsoluteTimer(), asyncio.Event(), []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))

        def fail() -> None:
            raise ValueError("first")

        pacer.at(clock.now(), fail)
        pacer.at(clock.now() + 2 * MS, done.set)
        await asyncio.wait_for(done.wait(), 10)
        pacer.close()
        return seen

    assert asyncio.run(work()) == ["first"]


def test_closing_forgets() -> None:
    """After closing nothing is called."""

    async def work() -> bool:
        closed, other, called, done = AbsoluteTimer(), AbsoluteTimer(), [], asyncio.Event()
        closed.at(clock.now() + MS, lambda: called.append(1))
        closed.close()
        other.at(clock.now() + 3 * MS, done.set)
        await asyncio.wait_for(done.wait(), 10)
        other.close()
        return bool(called)

    assert not asyncio.run(work())


def test_a_wait_that_was_left_leaves_the_timer_usable() -> None:
    """A cancelled wait wakes nobody; the next one ends at its own time, and one that has passed at once."""

    async def work() -> None:
        with contextlib.closing(AbsoluteTimer()) as pacer:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pacer.until(clock.now() + 20 * MS), 0.001)
            due = clock.now() + 40 * MS
            await pacer.until(due)
            assert clock.now() >= due
            await pacer.until(due)

    asyncio.run(asyncio.wait_for(work(), 60))
