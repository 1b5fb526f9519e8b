"""An event loop that asks the kernel half as often.

asyncio asks its selector before every round, also when what is to be done is known already: the round after one
that read a socket hands the bytes to whoever awaits them. Here that one round goes without asking.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine


def run(work: Coroutine[None, None, None]) -> None:
    """As asyncio.run."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Sparing())) as runner:
        runner.run(work)


class _Sparing(selectors.EpollSelector):
    """After events, the next question that would not wait is not asked; the one after it is."""

    def __init__(self) -> None:
        super().__init__()
        self._has_answered = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As every selector."""
        if timeout == 0 and self._has_answered:
            self._has_answered = False
            return []
        events = super().select(timeout)
        self._has_answered = bool(events)
        return events
