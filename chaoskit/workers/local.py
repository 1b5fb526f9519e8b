"""Runs cells on the processors of this machine: a child process each, with its guest on one.

A guest computes on one processor at a time. Where the scheduler may move it to another, its caches are cold each time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.workers.cell import Cell, EndedCell
from chaoskit.workers.child_run import ChildRun
from chaoskit.workers.launch import ColdStart, Launcher

_POLL = 20_000_000  # ns
_NS = 10**9


class LocalWorkers:
    """`Workers` whose run directories are in `folder`. `lock`: a descriptor that every run holds open until its end.

    `launcher` starts the runs.
    """

    def __init__(self, folder: Path, slots: int, lock: int, clock: Clock, launcher: Launcher | None = None) -> None:
        self._folder, self._slots, self._lock, self._clock = folder, slots, lock, clock
        self._launcher = launcher or ColdStart()
        self._processors = sorted(os.sched_getaffinity(0))
        self._running: dict[int, tuple[Cell, ChildRun]] = {}  # by the number of the slot

    @property
    def slots(self) -> int:
        """As `Workers.slots`."""
        return self._slots

    def start(self, cell: Cell) -> None:
        """As `Workers.start`."""
        slot = next((each for each in range(self._slots) if each not in self._running), None)
        if slot is None:
            raise ValueError(f"{self._slots} cells run, and {cell.name} is one too many")
        processor = None if cell.is_alone else self._processors[slot % len(self._processors)]
        out = self._folder / cell.name
        child = ChildRun(self._launcher, cell.words, out, self._lock, self._clock, processor, cell.given)
        self._running[slot] = cell, child

    def ended(self, timeout: int) -> Sequence[EndedCell]:
        """As `Workers.ended`."""
        until = self._clock.now() + timeout
        while not (found := self._collect()) and self._running and self._clock.now() < until:
            self._clock.sleep_until(min(until, self._clock.now() + _POLL))
        return found

    def _collect(self) -> list[EndedCell]:
        found = []
        for slot, (cell, child) in list(self._running.items()):
            if (code := child.poll()) is not None:
                del self._running[slot]
                seconds = (self._clock.now() - child.started) / _NS
                found.append(EndedCell(cell, child.out, code, child.close(), child.why, seconds))
        return found

    def running(self) -> dict[str, int]:
        """As `Workers.running`."""
        now = self._clock.now()
        return {cell.name: now - child.started for cell, child in self._running.values()}

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Workers.interrupt`."""
        for _, child in list(self._running.values()):
            child.interrupt(sign)

    def stop(self, why: str) -> None:
        """As `Workers.stop`."""
        for _, child in self._running.values():
            child.end(why)

    def close(self) -> None:
        """As `Workers.close`."""
        self.interrupt()
        while self._running:
            self.ended(_NS)
        self._launcher.close()
