"""Watches a network namespace, and restores what a killed chaoskit leaves in it.

A watchdog outlives its owner, and nothing outlives both when a container's processes are killed together. The watch
runs in another container with the same network namespace. What tells it that a chaoskit still works is the lock, which
the kernel releases when its last holder dies; the pids of a lease mean nothing in another container.

Rule: it restores only while it holds the lock itself, and never signals a process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from chaoskit.clock import Clock
from chaoskit.conduct.recovery import Recovery
from chaoskit.conduct.signals import held
from chaoskit.engine import lock
from chaoskit.engine.lease import Location
from chaoskit.errors import RefusedError
from chaoskit.knobs import Knob

_LOOK = 10**9  # ns between two looks
_RETRY = 30 * 10**9  # ns until what could not be restored is tried again


@dataclass
class AbandonedWatch:
    """`orphans` finds what bears chaoskit's names in this network namespace; `report` gets a line for each leftover."""

    recovery: Recovery
    orphans: Callable[[], list[Knob]]
    report: Callable[[str], None]
    clock: Clock

    def run(self) -> None:
        """Look each second, until an exception ends it. What could not be restored is told once, and tried again."""
        told: list[str] = []
        while True:
            if not lock.is_taken(self.recovery.lock) and self._is_left():
                with held():
                    self._restore()
                for sentence in self.recovery.leftovers:
                    if sentence not in told:
                        self.report(f"not restored: {sentence}")
                told = list(self.recovery.leftovers)
            _reap()
            self.clock.sleep_until(self.clock.now() + (_RETRY if self.recovery.leftovers else _LOOK))

    def _restore(self) -> None:
        self.recovery.leftovers.clear()
        try:
            self.recovery.restore_abandoned()
        except RefusedError as error:
            if not lock.is_taken(self.recovery.lock):  # else another chaoskit was quicker
                self.recovery.leftovers.append(str(error))

    def _is_left(self) -> bool:
        """Whether something here has to be restored; the leases of exec, which holds no lock, do not count."""
        location, found = Location.current(), self.recovery.leases.all()
        if found.broken or any(each.location == location and each.command != "exec" for each in found.leases):
            return True
        return bool(self.orphans())


def _reap() -> None:
    """As the first process of a container, take leave of the watchdogs that ended as its children."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
