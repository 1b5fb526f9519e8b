"""Runs a command of chaoskit as a child process, for programs that have chaoskit as a plugin.

Rules: when the calling process dies, it restores and ends, as after SIGTERM (setpriv, PDEATHSIG); it reads nothing of
the caller's standard input but what it is given; an interruption of the caller waits for its end.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from chaoskit import programs
from chaoskit.errors import RefusedError

_PREFIX = "chaoskit: "  # of a sentence on stderr, see `terminal.complain`
_SETPRIV = ("--pdeathsig", "TERM", "--")
_PATIENCE = 60  # s from SIGTERM to SIGKILL, after which a watchdog restores


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last thing that it complained of, whose further lines are indented; else its last line.

        Without `usage:` and what follows, which is for somebody who types the command.
        """
        lines = [line.rstrip() for line in self.err.splitlines() if line.strip()]
        begins = [number for number, line in enumerate(lines) if line.startswith(_PREFIX)]
        if begins:
            first, *rest = lines[begins[-1] :]
            further = takewhile(lambda line: line.startswith("  ") and not line.startswith("  usage: "), rest)
            return "\n".join([first.removeprefix(_PREFIX), *further])
        return lines[-1] if lines else f"chaoskit ended with exit code {self.code}"


def run(*words: str, given: str = "", variables: Mapping[str, str] | None = None) -> Ended:
    """Run `chaoskit WORDS` to its end, with this standard input, and these variables beside the caller's.

    Raises RefusedError where it cannot be started.
    """
    child = start(*words, variables=variables)
    try:
        out, err = child.communicate(given.encode())
    except BaseException:
        stop(child)
        raise
    code = child.returncode if child.returncode >= 0 else 128 - child.returncode
    return Ended(code, out.decode(errors="replace"), err.decode(errors="replace"))


def start(*words: str, variables: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `chaoskit WORDS`, with pipes. It has a session of its own: a Ctrl-C at the terminal is the caller's."""
    try:
        return subprocess.Popen(
            [*programs.tool("setpriv"), *_SETPRIV, *programs.python("chaoskit", *words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **(variables or {})},
        )
    except FileNotFoundError as error:
        raise RefusedError(f"{error.filename} is not installed; sudo apt-get install util-linux") from error
    except OSError as error:
        raise RefusedError(f"chaoskit cannot be started: {error.strerror}") from error


def stop(child: subprocess.Popen[bytes]) -> None:
    """Have it restore and end; after a minute it is killed. Closes its pipes."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
    with child:
        pass
