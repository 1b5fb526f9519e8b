"""Holds a `chaoskit run` that is a child process: what it said, why it was ended early, and its end."""

from __future__ import annotations

import os
import signal
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile

from chaoskit.clock import Clock
from chaoskit.workers.launch import Launch, Launcher

_PATIENCE = 120 * 10**9  # ns from an interruption to the end: streams are drained, and everything is restored
_LONGEST = 1 << 14  # bytes of what it said that are kept


class ChildRun:
    """One `chaoskit run` under way. `why`: a sentence about why it was ended early.

    `lock` is a descriptor that it holds. It is alone on `processor`, or on every one: None. It reads `text` on its
    standard input. Raises RefusedError where it cannot be started.
    """

    def __init__(
        self,
        launcher: Launcher,
        words: tuple[str, ...],
        out: Path,
        lock: int,
        clock: Clock,
        processor: int | None = None,
        text: str | None = None,
    ) -> None:
        self.out, self.why = out, ""
        self._clock = clock
        self.started = clock.now()
        self._interrupted: int | None = None
        self._said = os.memfd_create("chaoskit-said", os.MFD_CLOEXEC)
        with TemporaryFile() if text is not None else Path(os.devnull).open("rb") as given:
            if text is not None:
                given.write(text.encode())
                given.seek(0)
            launch = Launch(words, out, processor, given.fileno(), self._said, lock)
            self._process = launcher.start(launch)

    def poll(self) -> int | None:
        """None while it runs, then its exit code (128 + n when signal n ended it)."""
        if self._interrupted is not None and self._clock.now() - self._interrupted > _PATIENCE:
            self.kill()
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Interruptible.interrupt`."""
        self._interrupted = self._interrupted or self._clock.now()
        self._process.send(sign)

    def end(self, why: str) -> None:
        """Interrupt it, for this reason."""
        if not self.why:
            self.why = why
            self.interrupt()

    def kill(self) -> None:
        """Kill it, and what it started."""
        self._process.kill()

    def close(self) -> str:
        """Of one that has ended: the last sentence that it complained with, or ""."""
        size = os.fstat(self._said).st_size
        said = os.pread(self._said, _LONGEST, max(0, size - _LONGEST)).decode(errors="replace").splitlines()
        os.close(self._said)
        begin = max((at for at, line in enumerate(said) if line.startswith("chaoskit: ")), default=None)
        if begin is None:
            return ""
        first, *rest = said[begin : begin + 4]
        further = takewhile(lambda line: line.startswith("  "), rest)  # as `terminal.complain` indents them
        return " ".join(line.strip() for line in (first, *further)).removeprefix("chaoskit: ")
