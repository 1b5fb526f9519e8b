"""Passes Ctrl-C, SIGTERM and SIGHUP on to the running experiment."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Protocol

from chaoskit.records.directory import kept_records
from chaoskit.terminal import complain

if TYPE_CHECKING:
    from chaoskit.analysis.result import RunStatus


class Interruptible(Protocol):
    """What can be interrupted: a running command, or several."""

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Send it a signal, as a terminal does with Ctrl-C. Does nothing if it has ended."""


class InterruptHandler:
    """Catches SIGINT, SIGTERM and SIGHUP within its `with`: what runs is interrupted, and its end is awaited.

    In another thread than the main one, which gets all signals, it catches nothing.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.count = 0
        self._running: Interruptible | None = None

    def __enter__(self) -> InterruptHandler:
        is_main = threading.current_thread() is threading.main_thread()
        ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if is_main else ()
        self._former = {sign: signal.signal(sign, self._receive) for sign in ending}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sign, handler in self._former.items():
            signal.signal(sign, handler)

    def _receive(self, sign: int, _frame: FrameType | None) -> None:
        self.received = signal.Signals(sign)
        self.count += 1
        self.forward_to(self._running)

    def forward_to(self, running: Interruptible | None) -> None:
        """Interrupt this from now on; a signal that was received before is passed on at once."""
        self._running = running
        if running is not None and self.received is not None:
            running.interrupt(self.received)


def say_if_interrupted(status: RunStatus, records: Path | None, is_shown: bool) -> None:
    """Tell it in one line, with where the records are. `is_shown`: the result on the same screen says it already."""
    said = [*([] if is_shown else ["interrupted"]), *([kept_records(records)] if records else [])]
    if status == "interrupted" and said:
        complain("; ".join(said))
