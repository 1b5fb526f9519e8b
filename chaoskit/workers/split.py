"""Runs cells in real time, or on an interface, here, and all others on other machines."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from chaoskit.workers.cell import Cell, EndedCell, Workers


class SplitWorkers:
    """`Workers` of two kinds; `slots` are those of the other machines, because a cell here is alone."""

    def __init__(self, here: Workers, elsewhere: Workers) -> None:
        self._here, self._elsewhere = here, elsewhere

    @property
    def slots(self) -> int:
        """As `Workers.slots`."""
        return self._elsewhere.slots

    def start(self, cell: Cell) -> None:
        """As `Workers.start`."""
        (self._here if cell.is_alone else self._elsewhere).start(cell)

    def ended(self, timeout: int) -> Sequence[EndedCell]:
        """As `Workers.ended`."""
        return [*self._here.ended(0), *self._elsewhere.ended(timeout)]

    def running(self) -> dict[str, int]:
        """As `Workers.running`."""
        return {**self._here.running(), **self._elsewhere.running()}

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Workers.interrupt`."""
        self._here.interrupt(sign)
        self._elsewhere.interrupt(sign)

    def stop(self, why: str) -> None:
        """As `Workers.stop`."""
        self._here.stop(why)
        self._elsewhere.stop(why)

    def close(self) -> None:
        """As `Workers.close`."""
        try:
            self._here.close()
        finally:
            self._elsewhere.close()
