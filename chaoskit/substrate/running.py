"""One command, started somewhere, that can be watched, interrupted and ended. Every substrate gives these.

The command of an experiment is the same everywhere (`chaoskit conduct RUNDIR`); only where it runs differs.
Rules: it runs in a session of its own, so that a Ctrl-C at the terminal reaches it only through
`interrupt`; what it says goes to a log in its folder; it outlives neither its limit, nor `close`, nor us.
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

GLANCE = 50_000_000  # ns between two looks at a running command


@dataclass(frozen=True)
class Command:
    """What to run, the one folder that it may write in, and how long it may take. A pinned folder is inherited."""

    argv: tuple[str, ...]
    folder: Path
    limit: Duration


class Running(Protocol):
    """A command under way."""

    log: Path

    def poll(self) -> int | None:
        """None while it runs, then its exit code (128 + n when signal n ended it).

        Raises RefusedError when it had to be ended, or could not even start.
        """

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Ask it to end, as a terminal does with Ctrl-C. Nothing happens when it has ended."""

    def finish(self) -> int:
        """Wait until it ends; its exit code. Raises what `poll` raises, and leaves nothing running."""

    def close(self) -> None:
        """End it at once with everything that it started. What it wrote stays. May be called again."""


def conduct(run: Path, limit: int) -> Command:
    """The command that does the experiment of a run directory within `limit` ns."""
    run = run.resolve() if descriptor(run) is None else run
    return Command(programs.python("chaoskit", "conduct", str(run)), run, Duration(limit))


def wait(running: Running, clock: Clock) -> int:
    """What `finish` does, wherever it runs."""
    try:
        while (code := running.poll()) is None:
            clock.sleep_until(clock.now() + GLANCE)
        return code
    finally:
        running.close()


def last_words(log: Path, lines: int = 12) -> str:
    """The last lines of a log, indented; for the end of a sentence that says what went wrong.

    A kernel's last words begin at its panic, which the trace that follows would push out.
    """
    try:
        said = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        said = []
    panic = next((at for at, line in enumerate(said) if "Kernel panic" in line), len(said) - lines)
    begin = max(panic, 0)
    return "".join(f"\n    {line}" for line in said[begin : begin + lines]) or "\n    (it said nothing)"
