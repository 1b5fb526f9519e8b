"""Defines the interface of a running command, which every substrate implements.

The command of an experiment is the same everywhere (`chaoskit conduct RUNDIR`).
Rules: it runs in its own session, so that a Ctrl-C at the terminal reaches it only through `interrupt`; its output goes
to a log in its folder; it ends at its limit, at `close`, and when this process dies.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chaoskit import programs
from chaoskit.clock import Clock
from chaoskit.folder import descriptor
from chaoskit.units import Duration

POLL_INTERVAL = 50_000_000  # ns between two polls of a running command


@dataclass(frozen=True)
class Command:
    """What to run, the folder that it may write in, its time limit, and directories that it may write as well.

    A pinned folder is inherited.
    """

    argv: tuple[str, ...]
    folder: Path
    limit: Duration
    writable: tuple[Path, ...] = ()


class Deadline:
    """The time limit of a command: in total or, if `renewed`, since it last wrote to its folder."""

    def __init__(self, command: Command, clock: Clock, renewed: bool) -> None:
        self._command, self._clock, self._renewed = command, clock, renewed
        self._ends = clock.now() + command.limit
        self._written = 0

    def is_over(self) -> bool:
        """Whether the limit has passed."""
        if self._renewed:
            written = sum(file_size(path) for path in self._command.folder.iterdir() if path.is_file())
            if written != self._written:
                self._written, self._ends = written, self._clock.now() + self._command.limit
        return self._clock.now() >= self._ends

    def __str__(self) -> str:
        limit = self._command.limit
        return f"wrote nothing for {limit}" if self._renewed else f"did not end within {limit}"


class Running(Protocol):
    """A running command."""

    log: Path
    shortage: str
    """Once it has ended: a sentence if processes of it were killed because its kernel had no memory left, else ""."""

    def poll(self) -> int | None:
        """None while it runs, then its exit code (128 + n when signal n ended it).

        Raises RefusedError if it had to be killed or could not start.
        """

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Send it a signal, as a terminal does with Ctrl-C. Does nothing if it has ended."""

    def finish(self) -> int:
        """Wait until it ends, and return its exit code. Raises what `poll` raises; leaves nothing running."""

    def close(self) -> None:
        """Kill it and everything that it started. Its files stay. May be called again."""


def conduct(run: Path, limit: int) -> Command:
    """The command that runs the experiment of a run directory within `limit` ns."""
    run = run.resolve() if descriptor(run) is None else run
    return Command(programs.python("chaoskit", "conduct", str(run)), run, Duration(limit))


def wait(running: Running, clock: Clock) -> int:
    """Implements `finish`."""
    try:
        while (code := running.poll()) is None:
            clock.sleep_until(clock.now() + POLL_INTERVAL)
        return code
    finally:
        running.close()


def log_tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, indented, to append to an error message.

    After a kernel panic the lines start at the panic, because the trace after it is long.
    """
    try:
        said = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        said = []
    panic = next((at for at, line in enumerate(said) if "Kernel panic" in line), len(said) - lines)
    begin = max(panic, 0)
    return "".join(f"\n    {line}" for line in said[begin : begin + lines]) or "\n    (the log is empty)"


def file_size(path: Path) -> int:
    """In bytes; 0 if the file was removed meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
