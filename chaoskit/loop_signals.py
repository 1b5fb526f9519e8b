"""Handles signals in an event loop until its work is done; those that come later have no effect.

CPython 3.11 closes the pipe that wakes a loop before it takes the signal handlers away (`close` in
asyncio/unix_events.py). A signal in between, such as a second Ctrl-C, is printed as an ignored exception.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def handled(signs: Iterable[signal.Signals], receive: Callable[[signal.Signals], object]) -> Iterator[None]:
    """Within it each of these signals calls `receive` in the running loop, in which no other handlers are.

    Afterwards, until the loop is closed, they are dropped; then they have Python's default handlers.
    """
    loop = asyncio.get_running_loop()
    for sign in signs:
        loop.add_signal_handler(sign, receive, sign)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)  # asyncio's handlers do nothing else than to wake the loop by it
