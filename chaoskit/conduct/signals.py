"""Turns signals into exceptions while a run has something to restore, and blocks them meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_TERMINATING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked this process to end. Not an error: everything is restored."""

    def __init__(self, sign: int) -> None:
        super().__init__(signal.Signals(sign).name)
        self.sign = sign


@contextmanager
def raised() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise `Interrupted` in the body."""

    def raise_interrupted(sign: int, _frame: FrameType | None) -> None:
        raise Interrupted(sign)

    former = {sign: signal.signal(sign, raise_interrupted) for sign in _TERMINATING}
    try:
        yield
    finally:
        for sign, handler in former.items():
            signal.signal(sign, handler)


@contextmanager
def kept() -> Iterator[None]:
    """The handlers are afterwards what they are now: an event loop that had its own leaves Python's default ones."""
    former = {sign: signal.getsignal(sign) for sign in _TERMINATING}
    try:
        yield
    finally:
        for sign, handler in former.items():
            signal.signal(sign, handler)


@contextmanager
def unblocked() -> Iterator[None]:
    """In a child that was forked while they were held: its own handlers take them in the body."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINATING)
    yield


@contextmanager
def held() -> Iterator[None]:
    """Signals that arrive inside are delivered afterwards.

    Blocking them is not enough: they are then delivered to another thread, such as those of numpy, and Python runs
    their handlers in this one.
    """
    received: list[int] = []

    def receive(sign: int, _frame: FrameType | None) -> None:
        received.append(sign)

    signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINATING)
    former = {sign: signal.getsignal(sign) for sign in _TERMINATING}
    handled = [sign for sign, handler in former.items() if callable(handler)]
    for sign in handled:
        signal.signal(sign, receive)
    try:
        yield
    finally:
        for sign in handled:
            signal.signal(sign, former[sign])
        for number in dict.fromkeys(received):
            signal.raise_signal(number)  # pending with those that were blocked
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINATING)
