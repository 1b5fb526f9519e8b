"""Ends what takes too long, at an exact time: asyncio's own timeouts are rounded to milliseconds."""

from __future__ import annotations

import asyncio
from types import TracebackType

from chaoskit import clock
from chaoskit.tiers.failures import CallError
from chaoskit.timer import AbsoluteTimer


class Deadline:
    """An async context manager that raises CallError of kind `timeout` where its body has not ended by `at`, ns."""

    def __init__(self, timer: AbsoluteTimer, at: int | None, what: str) -> None:
        """`what` has not happened then, for the error's sentence. `at` None: never."""
        self._timer, self._at, self._what = timer, at, what
        self._task: asyncio.Task[object] | None = None
        self._is_over = False
        self._cancelling = 0

    async def __aenter__(self) -> Deadline:
        if self._at is not None:
            self._task = asyncio.current_task()
            assert self._task is not None
            self._cancelling = self._task.cancelling()
            self._timer.at(self._at, self._expire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is None or not self._is_over:
            return
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise CallError("timeout", self._what) from error

    def move(self, at: int) -> None:
        """A later time. It is looked at when the earlier one comes: moving costs nothing."""
        self._at = at

    def _expire(self) -> None:
        if self._task is None or self._at is None:
            return
        if clock.now() < self._at:
            self._timer.at(self._at, self._expire)
            return
        self._is_over = True
        self._task.cancel()
