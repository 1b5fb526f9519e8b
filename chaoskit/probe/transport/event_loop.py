"""Runs an asyncio event loop that polls the kernel half as often, and keeps when it has done so.

asyncio calls its selector before every iteration, also when the work is known already: the iteration after one that
read a socket passes the bytes to the task that awaits them. This loop skips the poll of that one iteration.

What a poll does not report was not there when it ended. So everything that is read after a poll came after the end of
the poll before: however long this process was busy or stopped, meanwhile or within a poll.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

from chaoskit.clock import now

R = TypeVar("R")


def run(work: Coroutine[None, None, R]) -> R:
    """As asyncio.run."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


class Polls:
    """When the latest poll ended, and the one `before` it; 0: not known."""

    def __init__(self) -> None:
        self.before = 0
        self.latest = 0


def polls_of(loop: asyncio.AbstractEventLoop) -> Polls:
    """The polls of this loop; nothing is known of those of another kind than `run` has."""
    return loop.polls if isinstance(loop, _Loop) else Polls()


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.polls = Polls()
        super().__init__(_SkippingSelector(self.polls))


class _SkippingSelector(selectors.EpollSelector):
    """After events, skips the next poll that would not wait."""

    def __init__(self, polls: Polls) -> None:
        super().__init__()
        self._polls = polls
        self._had_events = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As `selectors.EpollSelector.select`."""
        if timeout == 0 and self._had_events:
            self._had_events = False
            return []
        events = super().select(timeout)
        self._had_events = bool(events)
        self._polls.before, self._polls.latest = self._polls.latest, now()
        return events
