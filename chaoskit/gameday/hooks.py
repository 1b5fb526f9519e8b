"""Runs the commands of a suite: hooks, conditions and notifications, each within its time.

Rules: there is no shell; a command runs in the suite file's folder, with chaoskit's environment and variables that
begin with CHAOSKIT_; under sudo as the user who called it. Its output goes to a log. It is killed with its process
group at its timeout and at a signal that arrives while it runs, and by itself when this process dies.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaoskit import file_trust, programs
from chaoskit.clock import Clock
from chaoskit.conduct.sudo_caller import Caller
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.folder import Folder
from chaoskit.spec.suite import SuiteCommand

LOG = "commands.log"
_POLL = 50_000_000  # ns
_SETPRIV = ("--pdeathsig", "KILL", "--")  # setpriv(1): the command ends when this process dies


@dataclass(frozen=True)
class CommandRunner:
    """Runs commands in the suite's folder `directory`. `log` is the folder of their log; `tick` is called meanwhile."""

    directory: Path
    log: Folder
    user: Caller | None
    clock: Clock
    interrupts: InterruptHandler
    tick: Callable[[], None]

    def run(self, command: SuiteCommand, variables: Mapping[str, str], text: str = "") -> str:
        """Run it with these variables and this text on its standard input. Returns why it failed, or ""."""
        shown = shlex.join(command.run)
        program = self._find(command.run[0])
        if isinstance(program, str):
            return f"{shown}: {program}"
        own = self.user.environment() if self.user is not None else {}
        before = self.interrupts.count
        try:
            with self._log(shown) as log, _file(text) as given:
                process = subprocess.Popen(
                    [*programs.tool("setpriv"), *_SETPRIV, str(program), *command.run[1:]],
                    cwd=self.directory,
                    env={**os.environ, **own, **variables},
                    stdin=given,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=None if self.user is None else self.user.become,
                )
        except OSError as error:
            return f"{shown}: cannot be started: {error.strerror or error}"
        return self._ended(process, command, before, shown)

    def _ended(self, process: subprocess.Popen[bytes], command: SuiteCommand, before: int, shown: str) -> str:
        limit = self.clock.now() + command.timeout
        while (code := process.poll()) is None:
            if self.interrupts.count > before or self.clock.now() >= limit:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return f"{shown}: " + (
                    "interrupted" if self.interrupts.count > before else f"did not end within {command.timeout}"
                )
            self.tick()
            self.clock.sleep_until(self.clock.now() + _POLL)
        if code == 0:
            return ""
        what = f"ended with {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"
        return f"{shown}: {what}; its output is in {LOG}"

    def _find(self, name: str) -> Path | str:
        """Its program, or why there is none."""
        if "/" not in name:
            found = programs.find(name)
            return Path(found) if found is not None else "there is no such program"
        path = self.directory / name
        if not path.is_file():
            return f"there is no program {path}"
        if not os.access(path, os.X_OK):
            return f"{path} cannot be executed: chmod +x {path}"
        if weakness := file_trust.weakness(path, os.geteuid() if self.user is None else self.user.uid):
            return f"not run, because others could change it: {weakness.reason}; {weakness.remedy}".rstrip("; ")
        return path.resolve()

    def _log(self, shown: str) -> _Descriptor:
        try:
            fd = self.log.open_file(LOG, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            fd = self.log.create(LOG)
        os.write(fd, f"$ {shown}\n".encode())
        return _Descriptor(fd)


class _Descriptor:
    """A descriptor that is closed at the end of its `with`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _file(text: str) -> _Descriptor:
    """The text as an open file in memory: a program that reads nothing blocks nobody."""
    fd = os.memfd_create("chaoskit-input", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return _Descriptor(fd)
