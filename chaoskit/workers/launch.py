"""Starts `chaoskit run` as a process of its own: anew, or by a fork of one that is ready.

Rules: a run has a session of its own, so that a Ctrl-C reaches it through its owner alone; it is interrupted when its
owner dies, and restores everything then. It holds its owner's lock as long as it lives.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chaoskit import programs
from chaoskit.errors import RefusedError

_SETPRIV = ("--pdeathsig", "INT", "--")  # setpriv(1), util-linux


@dataclass(frozen=True)
class Launch:
    """What is started: the words of `chaoskit run`, its run directory, and the processor that it has alone, if any.

    `given`, `said` and `lock` are descriptors: of its standard input, of its standard error, and the one that it holds.
    """

    words: tuple[str, ...]
    out: Path
    processor: int | None
    given: int
    said: int
    lock: int

    @property
    def arguments(self) -> tuple[str, ...]:
        """Those of chaoskit."""
        return ("run", *self.words, "--out", str(self.out))


class RunProcess(Protocol):
    """A run that was started."""

    def poll(self) -> int | None:
        """None while it runs, then its exit code: -n when signal n ended it."""

    def send(self, sign: signal.Signals) -> None:
        """Send it this signal."""

    def kill(self) -> None:
        """Kill it, and what it started."""


class Launcher(Protocol):
    """What starts runs."""

    def start(self, launch: Launch) -> RunProcess:
        """Start one. Raises RefusedError where that is impossible."""

    def close(self) -> None:
        """Release what it holds, when no run is under way."""


def command_line(launch: Launch) -> tuple[str, ...]:
    """That of this run."""
    return programs.python("chaoskit", *launch.arguments)


class ColdStart:
    """`Launcher` of a program that starts anew each time: by its command line, that of `chaoskit run`."""

    def __init__(self, line: Callable[[Launch], tuple[str, ...]] = command_line) -> None:
        self._line = line

    def start(self, launch: Launch) -> RunProcess:
        """As `Launcher.start`."""
        pinned = () if launch.processor is None else (*_tool("taskset"), "--cpu-list", str(launch.processor))
        process = subprocess.Popen(
            (*_tool("setpriv"), *_SETPRIV, *pinned, *self._line(launch)),
            stdin=launch.given,
            stdout=subprocess.DEVNULL,
            stderr=launch.said,
            start_new_session=True,
            pass_fds=(launch.lock,),
        )
        return _Child(process)

    def close(self) -> None:
        """As `Launcher.close`."""


@dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[bytes]

    def poll(self) -> int | None:
        return self.process.poll()

    def send(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)

    def kill(self) -> None:
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _tool(name: str) -> tuple[str]:
    try:
        return programs.tool(name)
    except FileNotFoundError as error:
        raise RefusedError(f"{name} is not installed; sudo apt-get install util-linux") from error
