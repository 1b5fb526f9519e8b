"""Runs the reference server on a host, to be paused, killed and started again like any program."""

from __future__ import annotations

import signal
from collections.abc import Callable

from chaoskit.clock import Clock
from chaoskit.conduct.worker import Worker
from chaoskit.errors import ChaoskitError, CrashError


class ReferenceProcess:
    """The process of a reference server. `begin` starts it; it listens before it returns.

    `failure` says why it ended, where no fault has killed it; `has_crashed` that it is a mistake of its own.
    """

    def __init__(self, name: str, network: int, begin: Callable[[], Worker]) -> None:
        self.name, self.network = name, network
        self.was_killed = False
        self.failure, self.has_crashed = "", False
        self._begin = begin
        self._worker: Worker | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it runs, as far as was heard; not when a fault has killed it."""
        return self._worker is not None and not self.was_killed and not self.failure

    def pids(self) -> tuple[int, ...]:
        """Its process; none when it was killed."""
        return () if self._worker is None or self.was_killed else (self._worker.pid,)

    def start(self) -> None:
        """Start it, or start it again."""
        self.was_killed, self.failure = False, ""
        self._worker = self._begin()

    def hear(self) -> None:
        """Find out whether it has ended."""
        if not self.is_alive:
            return
        assert self._worker is not None
        try:
            if not self._worker.is_alive:
                self.failure = "its server ended early"
        except ChaoskitError as error:
            self.failure, self.has_crashed = str(error), isinstance(error, CrashError)

    def pause(self, clock: Clock) -> None:
        """SIGSTOP."""
        del clock
        self._send(signal.SIGSTOP)

    def resume(self, clock: Clock) -> None:
        """SIGCONT."""
        del clock
        self._send(signal.SIGCONT)

    def kill(self, clock: Clock) -> None:
        """SIGKILL, and wait for its end."""
        self._send(signal.SIGKILL)
        self.was_killed = True
        if self._worker is not None:
            self._worker.stop(clock)

    def stop(self, clock: Clock) -> None:
        """End it, also when it is paused. Never raises."""
        if self._worker is not None and not self.was_killed:
            self._send(signal.SIGCONT)
            self._worker.stop(clock)

    def _send(self, sign: signal.Signals) -> None:
        if self._worker is not None and not self.was_killed:
            self._worker.send(sign)
