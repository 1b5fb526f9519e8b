"""What takes too long ends at its exact time; a deadline that has not come changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from chaoskit.clock import now
from chaoskit.tiers.deadlines import Deadline
from chaoskit.tiers.failures import CallError
from chaoskit.tiers.tier import TierResponse
from chaoskit.timer import AbsoluteTimer

MS = 10**6


def play(work: Callable[[AbsoluteTimer], Coroutine[Any, Any, Any]]) -> Any:
    """What `work` gives, with a timer."""

    async def go() -> Any:
        timer = AbsoluteTimer()
        try:
            return await work(timer)
        finally:
            timer.close()

    return asyncio.run(go())


def test_it_ends_what_takes_too_long() -> None:
    """With a call's error, not before its time, and soon after."""

    async def work(timer: AbsoluteTimer) -> int:
        begun = now()
        with pytest.raises(CallError, match="no answer") as raised:
            async with Deadline(timer, begun + 20 * MS, "no answer"):
                await asyncio.sleep(10)
        assert raised.value.kind == "timeout"
        return now() - begun

    assert 20 * MS <= play(work) < 500 * MS


def test_of_two_the_one_that_comes_tells() -> None:
    """The outer one of a body within an inner one that is later, and the other way round."""

    async def work(timer: AbsoluteTimer, outer: int, inner: int) -> str:
        try:
            async with Deadline(timer, now() + outer * MS, "outer"), Deadline(timer, now() + inner * MS, "inner"):
                await asyncio.sleep(10)
        except CallError as error:
            return str(error)
        return "neither"

    assert play(lambda timer: work(timer, 10, 1000)) == "outer"
    assert play(lambda timer: work(timer, 1000, 10)) == "inner"


def test_a_moved_one_comes_later() -> None:
    """As often as it is moved."""

    async def work(timer: AbsoluteTimer) -> int:
        begun = now()

        async def body() -> None:
            async with Deadline(timer, begun + 300 * MS, "silence") as silence:
                silence.move(begun + 400 * MS)
                silence.move(begun + 500 * MS)
                await asyncio.sleep(10)

        with pytest.raises(CallError):
            await body()
        return now() - begun

    assert play(work) >= 500 * MS


def test_a_cancelled_body_stays_cancelled() -> None:
    """A client that leaves is no timeout, and what ended in time is not touched later."""

    async def work(timer: AbsoluteTimer) -> None:
        async def body() -> None:
            async with Deadline(timer, now() + 5000 * MS, "never"):
                await asyncio.sleep(10)

        task = asyncio.ensure_future(body())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with Deadline(timer, now() + 10 * MS, "in time"):
            pass
        await asyncio.sleep(0.03)

    play(work)


class Writer:
    """Notes how a response is broken off."""

    is_writable = True

    def __init__(self) -> None:
        self.broken: list[str] = []

    def break_off(self, by: str) -> None:
        """Note it."""
        self.broken.append(by)


def test_a_mistake_in_a_tier_ends_its_connection_and_is_told() -> None:
    """Its client does not wait without end, and the process says what happened."""
    writer = Writer()
    told: list[Any] = []

    async def fails() -> None:
        raise ZeroDivisionError

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        TierResponse(cast(Any, writer), None).begin(fails())
        await asyncio.sleep(0.01)

    asyncio.run(work())

    assert writer.broken == ["reset"]
    assert [type(each) for each in told] == [ZeroDivisionError]
