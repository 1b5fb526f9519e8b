"""Passing on the wish to end what runs elsewhere."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from chaoskit.substrate.running import Running


class InterruptHandler:
    """Hears Ctrl-C, SIGTERM and SIGHUP within its `with`: what runs is asked to end, and is waited for."""

    def __init__(self) -> None:
        self.heard: signal.Signals | None = None
        self._running: Running | None = None

    def __enter__(self) -> InterruptHandler:
        ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._former = {sign: signal.signal(sign, self._hear) for sign in ending}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sign, handler in self._former.items():
            signal.signal(sign, handler)

    def _hear(self, sign: int, _frame: FrameType | None) -> None:
        self.heard = signal.Signals(sign)
        self.of(self._running)

    def of(self, running: Running | None) -> None:
        """From now on this is what runs."""
        self._running = running
        if running is not None and self.heard is not None:
            running.interrupt(self.heard)
