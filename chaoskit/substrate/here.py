"""Runs an experiment in this kernel, as a child process. Needs root, or user namespaces."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit import programs
from chaoskit.clock import Clock, RealClock
from chaoskit.errors import RefusedError
from chaoskit.folder import descriptor, display_path
from chaoskit.substrate.running import Command, conduct, log_tail, wait

LOG = "conduct.log"
SLACK = 60_000_000_000  # ns that an experiment may take longer than its plan

_SETPRIV = ("--pdeathsig", "INT", "--")  # setpriv(1), util-linux: SIGINT when this process dies


@dataclass(frozen=True)
class Here:
    """The substrate that is this kernel."""

    def start(self, run: Path, length: int, seed: int, variables: Mapping[str, str]) -> Child:
        """Start the experiment of a run directory, whose plan takes `length` ns.

        `seed` is unused in real time, and so are the `variables`, which a child process has from its parent.
        """
        del seed, variables
        return self.launch(conduct(run, length + SLACK), RealClock())

    def launch(self, command: Command, clock: Clock) -> Child:
        """Start a command. Raises RefusedError if that fails."""
        try:
            held = descriptor(command.folder)
            with (command.folder / LOG).open("ab") as log:
                process = subprocess.Popen(
                    [*programs.tool("setpriv"), *_SETPRIV, *command.argv],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=() if held is None else (held,),
                )
        except FileNotFoundError as error:
            raise RefusedError(f"{error.filename} is not installed; sudo apt-get install util-linux") from error
        except OSError as error:
            raise RefusedError(
                f"cannot run in {display_path(command.folder)}: {error.strerror}; use another --out"
            ) from error
        return Child(process, command, clock)


class Child:
    """A running child process. Made by `Here`."""

    shortage = ""

    def __init__(self, process: subprocess.Popen[bytes], command: Command, clock: Clock) -> None:
        self.log = command.folder / LOG
        self.pid = process.pid
        self._process = process
        self._limit = command.limit
        self._clock = clock
        self._ends = clock.now() + command.limit
        self._closed = False

    def poll(self) -> int | None:
        """As `Running.poll`."""
        code = self._process.poll()
        if code is None:
            if self._clock.now() < self._ends:
                return None
            self.close()
            raise RefusedError(
                f"the experiment did not end within {self._limit} and was stopped; it logged:{log_tail(self.log)}"
            )
        return code if code >= 0 else 128 - code

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Running.interrupt`."""
        self._process.send_signal(sign)

    def finish(self) -> int:
        """As `Running.finish`."""
        return wait(self, self._clock)

    def close(self) -> None:
        """As `Running.close`."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(ProcessLookupError):  # no process of its session is left
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
