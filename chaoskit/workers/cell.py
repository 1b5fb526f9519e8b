"""Defines a cell, one run among many, its end, and what runs cells.

    workers.start(cell)                # as long as less than `slots` run
    for end in workers.ended(10**9):   # ns to wait for the first
        end.code, end.directory
    workers.close()

Rules: a cell is complete in itself, so that its result depends neither on the order of the cells, nor on how many run
at a time, nor on where. A failed run is an exit code, never an exception.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from chaoskit.analysis.suite_result import read_reason
from chaoskit.spec.overrides import words_of


@dataclass(frozen=True)
class Cell:
    """An experiment file with other values at some dotted paths of it, and another seed where one is given.

    `name` is that of its run directory. `options` are further words of `chaoskit run`. With `is_alone` it may use every
    processor: it is on a real interface, or in real time. `text` is that of the file when it was planned, None where
    nobody looks; a run reads it on its standard input where the file is `-`.
    """

    name: str
    file: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    options: tuple[str, ...] = ()
    is_alone: bool = False
    text: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of `chaoskit run` that do the same by hand, without its --out."""
        values = {**self.overrides, **({"seed": self.seed} if self.seed is not None else {})}
        settings = (word for each in words_of(values) for word in ("--set", each))
        return (str(self.file), *settings, *self.options)

    @property
    def given(self) -> str | None:
        """What the run gets on its standard input."""
        return self.text if str(self.file) == "-" else None

    @property
    def is_unchanged(self) -> bool:
        """Whether the file, which the run will read, is still as it was planned."""
        if self.text is None or self.given is not None:
            return True
        try:
            return self.file.read_text("utf-8", errors="replace") == self.text
        except OSError:
            return False


@dataclass(frozen=True)
class EndedCell:
    """A cell that has ended, after so many `seconds` of real time.

    `directory`: its run directory; a run that was refused may have made none. `code`: the exit code of `chaoskit run`,
    128 + n after signal n. `complaint`: the last sentence that it wrote to stderr, or "". `why`: the reason for which
    it was stopped, or "".
    """

    cell: Cell
    directory: Path
    code: int
    complaint: str
    why: str
    seconds: float

    @property
    def failure(self) -> str:
        """Why it came to no verdict: what it complained of, or else what its result says."""
        return self.complaint or read_reason(self.directory) or f"its run ended with exit code {self.code}"


class Workers(Protocol):
    """What runs cells: the processors of this machine (`local.LocalWorkers`), or other machines."""

    @property
    def slots(self) -> int:
        """How many cells may run at a time, 1 or more; it may change when machines come and go."""

    def start(self, cell: Cell) -> None:
        """Start it. Its directory is that of its name in the folder that the workers were given; it must not exist.

        Raises RefusedError when it cannot be started, ValueError when all slots are taken.
        """

    def ended(self, timeout: int) -> Sequence[EndedCell]:
        """The cells that ended since the last call; waits for the first for at most `timeout` ns. Never raises."""

    def running(self) -> Mapping[str, int]:
        """The names of those that run, and for how many ns of real time."""

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Pass a signal on to all that run. They restore everything, and end in `ended`."""

    def stop(self, why: str) -> None:
        """Interrupt all that run, for this reason."""

    def close(self) -> None:
        """Interrupt what still runs, and wait until it has restored everything. May be called again."""
