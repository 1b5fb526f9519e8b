"""How long a stream is waited for: one deadline a stream, which moves often and rarely comes."""

from __future__ import annotations

import asyncio

from chaoskit.records.model import Completion

_SECOND = 10**9
_AGAIN = 1.0  # s
_HELD_UP, _HEARING = 0.005, 0.01  # s that a timer of the loop is hardly ever late; and in which what has come is read


class Deadline:
    """Cancels the task that it watches at a deadline, and remembers why. Moving the deadline later costs nothing.

    `verdict` is there from the moment of the cut, and only the first cut counts. A loop that was held up beyond the
    deadline first reads what has come meanwhile, which may move it. A task that does not end when it is cancelled, as
    some cleanup of it waits, is cancelled again until the guard is closed. `within` bounds the whole, ns.
    """

    def __init__(self, within: int | None = None) -> None:
        self.verdict: Completion | None = None
        self._task: asyncio.Task[Completion] | None = None
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._deadline = 0.0
        self._planned: Completion = "cancelled"
        self._is_last_call = False
        self._timer: asyncio.TimerHandle | None = None
        self._last = None if within is None else self._loop.time() + within / _SECOND

    def watch(self, task: asyncio.Task[Completion]) -> None:
        """This is the task."""
        self._task = task

    def until(self, stamp: int, verdict: Completion) -> None:
        """Cut with `verdict` at the monotonic `stamp` (ns), and no more at the former one."""
        self._deadline = stamp / _SECOND
        self._planned = verdict
        if self._last is not None and self._last < self._deadline:
            self._deadline, self._planned = self._last, "stream_timeout"
        self._is_last_call = False
        if not self._is_closed and (self._timer is None or self._timer.when() > self._deadline):
            self._arm()

    def cut(self, verdict: Completion) -> None:
        """Cancel the task now."""
        if not self._is_closed and self._task is not None:
            self.verdict = verdict
            self.close()
            self._insist()

    def close(self) -> None:
        """Never cut from now on."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _insist(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._timer = self._loop.call_later(_AGAIN, self._insist)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._fire)

    def _fire(self) -> None:
        late = self._loop.time() - self._deadline
        if late < 0:
            self._arm()
        elif late > _HELD_UP and not self._is_last_call:
            self._is_last_call = True
            self._timer = self._loop.call_later(_HEARING, self._fire)
        else:
            self.cut(self._planned)
