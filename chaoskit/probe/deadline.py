"""Cancels a stream's task at a deadline that is rescheduled often and rarely expires."""

from __future__ import annotations

import asyncio
from typing import Any

from chaoskit.records.model import Completion

_SECOND = 10**9
_CANCEL_INTERVAL = 1.0  # s
_TIMER_SLACK, _GRACE = 0.005, 0.01  # s: normal lateness of a loop timer; time to read what has arrived meanwhile


class Deadline:
    """Cancels its task at a deadline and records the reason. Moving the deadline later costs nothing.

    `reason` is set when the task is cancelled; only the first cancellation counts. When the loop itself was blocked
    beyond the deadline, data that has arrived meanwhile is read first, which may move the deadline. A task that does
    not end when cancelled, because its cleanup waits, is cancelled again every second. `total` bounds all of it, ns;
    at the monotonic stamp `patience` its user gives up, unless `served` before.
    """

    def __init__(self, total: int | None = None, patience: int | None = None) -> None:
        self.reason: Completion | None = None
        self._task: asyncio.Task[Any] | None = None
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._deadline = 0.0
        self._planned_reason: Completion = "cancelled"
        self._is_grace = False
        self._timer: asyncio.TimerHandle | None = None
        self._patience = patience
        self._last = None if total is None else self._loop.time() + total / _SECOND

    def watch(self, task: asyncio.Task[Any]) -> None:
        """Set the task to cancel."""
        self._task = task

    def reschedule(self, stamp: int, reason: Completion) -> None:
        """Cancel with `reason` at the monotonic `stamp` (ns) instead of the previous one."""
        self._deadline = stamp / _SECOND
        self._planned_reason = reason
        if self._last is not None and self._last < self._deadline:
            self._deadline, self._planned_reason = self._last, "stream_timeout"
        if self._patience is not None and self._patience / _SECOND < self._deadline:
            self._deadline, self._planned_reason = self._patience / _SECOND, "abandoned"
        self._is_grace = False
        if not self._is_closed and (self._timer is None or self._timer.when() > self._deadline):
            self._start_timer()

    def served(self) -> None:
        """Its user has what he waits for."""
        self._patience = None

    def cancel(self, reason: Completion) -> None:
        """Cancel the task now."""
        if not self._is_closed and self._task is not None:
            self.reason = reason
            self.close()
            self._cancel_until_done()

    def close(self) -> None:
        """Disarm."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _cancel_until_done(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._timer = self._loop.call_later(_CANCEL_INTERVAL, self._cancel_until_done)

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._timer_fired)

    def _timer_fired(self) -> None:
        late = self._loop.time() - self._deadline
        if late < 0:
            self._start_timer()
        elif late > _TIMER_SLACK and not self._is_grace:
            self._is_grace = True
            self._timer = self._loop.call_later(_GRACE, self._timer_fired)
        else:
            self.cancel(self._planned_reason)
