"""Runs an asyncio event loop that polls the kernel half as often.

asyncio calls its selector before every iteration, also when the work is known already: the iteration after one that
read a socket passes the bytes to the task that awaits them. This loop skips the poll of that one iteration.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

R = TypeVar("R")


def run(work: Coroutine[None, None, R]) -> R:
    """As asyncio.run."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_SkippingSelector())) as runner:
        return runner.run(work)


class _SkippingSelector(selectors.EpollSelector):
    """After events, skips the next poll that would not wait."""

    def __init__(self) -> None:
        super().__init__()
        self._had_events = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As `selectors.EpollSelector.select`."""
        if timeout == 0 and self._had_events:
            self._had_events = False
            return []
        events = super().select(timeout)
        self._had_events = bool(events)
        return events
