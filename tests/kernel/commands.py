"""Commands as a person types them, in forks of this process, which has chaoskit's modules imported.

What a command starts of chaoskit itself, the conductor of a run above all, is forked from it as well: Python starts
and imports in seconds in a guest.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import chaoskit.cli.app
import chaoskit.conduct.inject
import chaoskit.report.injection
import chaoskit.report.leases
import chaoskit.spec.options  # noqa: F401  imported once, for all forks
from chaoskit import safe_start
from chaoskit.cli.main import main
from chaoskit.clock import RealClock

_NUMBERS = count()
_LOOK = 10_000_000  # ns between two looks whether a command has ended
_OF_RUNS = (
    "execution.job",
    "execution.series",
    "conduct.planning",
    "substrate.selection",
    "analysis.analyse",
    "report.live",
    "conduct.conductor",
    "probe.drive",
)
_LATE = {
    "run": _OF_RUNS,
    "gameday": ("gameday.command", *_OF_RUNS),
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
        subprocess.Popen = _Popen  # type: ignore[misc, assignment]
        _become(words)
    return Command(pid, said)


class _Popen(subprocess.Popen[Any]):
    """A child process; one that is chaoskit becomes it without a new start of Python."""

    def __init__(
        self, argv: Sequence[str], *, pass_fds: Collection[int] = (), env: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        if safe_start.__file__ in argv and argv[argv.index(safe_start.__file__) + 2] == "chaoskit":
            more["preexec_fn"] = partial(_become_child, argv, frozenset(_open_fds()), env)
        super().__init__(argv, pass_fds=pass_fds, env=env, **more)


def _become_child(argv: Sequence[str], kept: Collection[int], environment: Mapping[str, str] | None) -> NoReturn:
    """What setpriv, execve and safe_start do with the process of these words. Its parent waits until all is closed that
    is not `kept`; what objects of the parent's own is, and they may close it."""
    if "--pdeathsig" in argv:
        sign = signal.Signals[f"SIG{argv[argv.index('--pdeathsig') + 1]}"]
        ctypes.CDLL(None).prctl(1, sign)  # PR_SET_PDEATHSIG
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    for sign in signal.valid_signals():
        if signal.getsignal(sign) not in (signal.SIG_DFL, signal.SIG_IGN, None):
            signal.signal(sign, signal.default_int_handler if sign is signal.SIGINT else signal.SIG_DFL)
    for fd in set(_open_fds()) - set(kept) - {0, 1, 2}:
        with suppress(OSError):  # of the listing itself
            os.close(fd)
    _become(argv[argv.index(safe_start.__file__) + 3 :])


def _open_fds() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208


def _become(words: Sequence[str]) -> NoReturn:
    """This process is `chaoskit WORDS` from now on, to its end, without pytest's opinion of warnings."""
    warnings.simplefilter("ignore")
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
    gc.freeze()  # a fork that collects garbage would copy all of it


def typed(home: Path, *words: str, told: str = "", environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code, and what it says."""
    return started(home, *words, told=told, environment=environment).ended()
