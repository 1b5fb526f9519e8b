"""Starts `chaoskit run` as a child process, and awaits its end.

Rules: it has a session of its own, so that a Ctrl-C reaches it through this process alone; it is interrupted when this
process dies, and restores everything then. It holds its owner's lock as long as it lives.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile

from chaoskit import programs
from chaoskit.clock import Clock
from chaoskit.errors import RefusedError

_SETPRIV = ("--pdeathsig", "INT", "--")  # setpriv(1), util-linux
_PATIENCE = 120 * 10**9  # ns from an interruption to the end: streams are drained, and everything is restored
_LONGEST = 1 << 14  # bytes of what it said that are kept


def run_command_line(words: tuple[str, ...], out: Path) -> tuple[str, ...]:
    """The command line of `chaoskit run` with these words, into this directory."""
    return programs.python("chaoskit", "run", *words, "--out", str(out))


def on_processor(number: int | None, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command line of the same on this processor alone, with all that it starts; None: on every one.

    Raises RefusedError where taskset is not installed.
    """
    return argv if number is None else (*_tool("taskset"), "--cpu-list", str(number), *argv)


def _tool(name: str) -> tuple[str]:
    try:
        return programs.tool(name)
    except FileNotFoundError as error:
        raise RefusedError(f"{name} is not installed; sudo apt-get install util-linux") from error


class ChildRun:
    """One `chaoskit run` under way, by its command line. `why`: a sentence about why it was ended early.

    It reads `text` on its standard input. Raises RefusedError where it cannot be started.
    """

    def __init__(self, argv: tuple[str, ...], out: Path, lock: int, clock: Clock, text: str | None = None) -> None:
        self.out, self.why = out, ""
        self._clock = clock
        self.started = clock.now()
        self._interrupted: int | None = None
        command_line = (*_tool("setpriv"), *_SETPRIV, *argv)
        self._said = os.memfd_create("chaoskit-said", os.MFD_CLOEXEC)
        with TemporaryFile() if text is not None else Path(os.devnull).open("rb") as given:
            if text is not None:
                given.write(text.encode())
                given.seek(0)
            self._process = subprocess.Popen(
                command_line,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,
                pass_fds=(lock,),
            )

    def poll(self) -> int | None:
        """None while it runs, then its exit code (128 + n when signal n ended it)."""
        if self._interrupted is not None and self._clock.now() - self._interrupted > _PATIENCE:
            self.kill()
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Interruptible.interrupt`."""
        self._interrupted = self._interrupted or self._clock.now()
        self._process.send_signal(sign)

    def end(self, why: str) -> None:
        """Interrupt it, for this reason."""
        if not self.why:
            self.why = why
            self.interrupt()

    def kill(self) -> None:
        """Kill it, and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> str:
        """Wait for its end. Returns the last sentence that it complained with, or ""."""
        self._process.wait()
        size = os.fstat(self._said).st_size
        said = os.pread(self._said, _LONGEST, max(0, size - _LONGEST)).decode(errors="replace").splitlines()
        os.close(self._said)
        begin = max((at for at, line in enumerate(said) if line.startswith("chaoskit: ")), default=None)
        if begin is None:
            return ""
        first, *rest = said[begin : begin + 4]
        further = takewhile(lambda line: line.startswith("  "), rest)  # as `terminal.complain` indents them
        return " ".join(line.strip() for line in (first, *further)).removeprefix("chaoskit: ")
