"""Writes what a host prints to its log, up to a size, and reads the last lines for people.

Rules: a program is never held up by its log; what does not fit is dropped and told, and the last of it is kept and
written when the program has ended.
"""

from __future__ import annotations

import os
from pathlib import Path

from chaoskit.terminal import printable

LIMIT = 10 << 20  # bytes of a host's log
_LAST = 4096  # bytes that are kept of what did not fit
_CUT = b"\n... cut here: the log has %d MiB, and the program goes on ...\n"
_AGAIN = b"\n... %d bytes are left out; the last are:\n"


class BoundedLog:
    """The log behind a descriptor that appends."""

    def __init__(self, fd: int, limit: int = LIMIT) -> None:
        self._fd = fd
        self._limit = limit
        self._room = max(0, limit - os.fstat(fd).st_size)
        self._dropped = 0
        self._last = b""

    def write(self, data: bytes) -> None:
        """Append what fits, and keep the end of the rest. A full disk ends the log, not the program."""
        fitting, rest = data[: self._room], data[self._room :]
        if fitting:
            self._append(fitting)
            self._room -= len(fitting)
        if rest:
            if not self._dropped:
                self._append(_CUT % (self._limit >> 20))
            self._dropped += len(rest)
            self._last = (self._last + rest)[-_LAST:]

    def finish(self) -> None:
        """Write the end of what did not fit."""
        if self._dropped:
            self._append(_AGAIN % (self._dropped - len(self._last)) + self._last)

    def _append(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self._room = 0


def last_lines(path: Path, most: int = 5) -> str:
    """The last lines of a log, escaped and indented, each after a line break; "" when it is empty."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _LAST))
            text = log.read(_LAST).decode(errors="replace")
    except OSError:
        return ""
    lines = [printable(line.rstrip("\r"))[:200] for line in text.split("\n") if line.strip()]
    return "".join(f"\n  {line}" for line in lines[-most:])
