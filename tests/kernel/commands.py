"""Commands as a person types them, in forks of this process, which has chaoskit's modules imported."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import NoReturn

import chaoskit.cli.app
import chaoskit.conduct.inject
import chaoskit.report.injection
import chaoskit.report.leases
import chaoskit.spec.options  # noqa: F401  imported once, for all forks
from chaoskit.cli.main import main
from chaoskit.clock import RealClock

_NUMBERS = count()
_LOOK = 10_000_000  # ns between two looks whether a command has ended
_LATE = {
    "run": (
        "execution.single",
        "execution.job",
        "conduct.planning",
        "substrate.selection",
        "analysis.analyse",
        "report.live",
    ),
    "gameday": ("gameday.command",),
    "serve": ("server.app", "server.unacked", "report.malformations"),
}
"""What these commands import when they run."""


@dataclass
class Command:
    """A command under way, and where it writes."""

    pid: int
    said: Path
    code: int | None = None

    def poll(self) -> int | None:
        """Its exit code if it has ended."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, limit: int) -> int:
        """Its exit code, after `limit` ns at most."""
        clock = RealClock()
        end = clock.now() + limit
        while (code := self.poll()) is None:
            assert clock.now() < end, "it does not end"
            clock.sleep_until(clock.now() + _LOOK)
        return code

    def kill(self) -> None:
        """End it, whatever it does, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait for it; its exit code, and what it said."""
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code, self.said.read_text()


def started(home: Path, *words: str, told: str = "", environment: Mapping[str, str] | None = None) -> Command:
    """The very program, in a fork with its modules imported: in a guest they take seconds."""
    _import_late(words[0])
    said, asked = (home.with_name(f"{name}-{os.getuid()}-{next(_NUMBERS)}") for name in ("said", "asked"))
    asked.write_text(told)
    said.touch()
    pid = os.fork()
    if pid == 0:
        for path, fd in ((asked, 0), (said, 1), (said, 2)):
            os.dup2(os.open(path, os.O_RDONLY if fd == 0 else os.O_WRONLY | os.O_APPEND), fd)
        os.environ.update({"CHAOSKIT_STATE": str(home), "COLUMNS": "200", **(environment or {})})
        _become(words)
    return Command(pid, said)


def _become(words: Sequence[str]) -> NoReturn:
    """This process is `chaoskit WORDS` from now on, to its end."""
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode, closefd=False) for fd, mode in enumerate("rww"))
    sys.argv = ["chaoskit", *words]
    code = 1
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001  the child must not go on as a second test run
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@cache
def _import_late(command: str) -> None:
    for name in _LATE.get(command, ()):
        import_module(f"chaoskit.{name}")


def typed(home: Path, *words: str, told: str = "", environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code, and what it says."""
    return started(home, *words, told=told, environment=environment).ended()
