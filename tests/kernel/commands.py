"""Commands as a person types them, in forks of this process, which has their modules imported."""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import chaoskit.cli.app
import chaoskit.conduct.inject
import chaoskit.report.injection
import chaoskit.report.leases
import chaoskit.spec.options  # noqa: F401  imported once, for all forks
from chaoskit.cli.main import main

_NUMBERS = count()


@dataclass
class Command:
    """A command under way, and where it writes."""

    pid: int
    said: Path

    def ended(self) -> tuple[int, str]:
        """Wait for it; its exit code, and what it said."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.said.read_text()


def started(home: Path, *words: str, told: str = "") -> Command:
    """The very program, in a fork with its modules imported: in a guest they take seconds."""
    said, asked = (home.with_name(f"{name}-{os.getuid()}-{next(_NUMBERS)}") for name in ("said", "asked"))
    asked.write_text(told)
    said.touch()
    pid = os.fork()
    if pid == 0:
        for path, fd in ((asked, 0), (said, 1), (said, 2)):
            os.dup2(os.open(path, os.O_RDONLY if fd == 0 else os.O_WRONLY | os.O_APPEND), fd)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode) for fd, mode in ((0, "r"), (1, "w"), (2, "w")))
        os.environ.update({"CHAOSKIT_STATE": str(home), "COLUMNS": "200"})
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
    return Command(pid, said)


def typed(home: Path, *words: str, told: str = "") -> tuple[int, str]:
    """The exit code, and what it says."""
    return started(home, *words, told=told).ended()
