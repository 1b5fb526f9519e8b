"""Our standard input for a command in a guest: each piece a file of its own, whole as soon as it has its name.

Rules: an empty piece is the end. A file that grows would not do, for a guest keeps what it has seen of one; nor would
one that is taken away, for a guest mistakes a new file of the same inode for it. So the guest empties what it has
passed on. We are a few pieces ahead of it and no more: endless input fills no disk. What cannot be read or kept is
told, for whoever waits for it would wait for ever.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError

AHEAD = 64  # pieces
_CHUNK = 1 << 16
_LOOK = 20_000_000  # ns


class StdinFeeder:
    """Feeds a folder from a descriptor, in a thread of its own. A context manager.

    Nothing is written any more after its end. `trouble` is why the rest of the input will not come.
    """

    def __init__(self, folder: Path, source: int = 0) -> None:
        self.trouble: RefusedError | None = None
        self._folder, self._source = folder, source
        self._is_over, self._writing = threading.Event(), threading.Lock()

    def __enter__(self) -> StdinFeeder:
        threading.Thread(target=self._feed, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing:
            self._is_over.set()

    def _feed(self) -> None:
        number, piece = 0, b"-"
        try:
            while piece and self._is_due(number):
                piece = self._read()
                self._put(number, piece)
                number += 1
        except RefusedError as error:
            self.trouble = error

    def _is_due(self, number: int) -> bool:
        """Wait until the guest has got so far; whether there is still a guest."""
        behind = _piece(self._folder, number - AHEAD)
        while number >= AHEAD and not _is_passed_on(behind):
            if self._is_over.wait(_LOOK / 1e9):
                return False
        return True

    def _read(self) -> bytes:
        try:
            select.select([self._source], (), ())  # whoever gave it to us may have made it non-blocking
            return os.read(self._source, _CHUNK)
        except OSError as error:
            raise RefusedError(f"standard input cannot be read: {error.strerror}; give a file or a pipe") from error

    def _put(self, number: int, piece: bytes) -> None:
        part = self._folder / "part"
        with self._writing:
            if self._is_over.is_set():
                return
            try:
                part.write_bytes(piece)
                part.rename(_piece(self._folder, number))
            except OSError as error:
                raise RefusedError(
                    f"no room for standard input in {self._folder.parent}: {error.strerror}; export TMPDIR=DIRECTORY"
                ) from error


def pieces(folder: Path, clock: Clock) -> Iterator[bytes]:
    """In the guest: all that is fed, until its end. A piece counts as passed on when the next one is asked for."""
    number = 0
    while True:
        piece = _piece(folder, number)
        while not piece.exists():
            clock.sleep_until(clock.now() + _LOOK)
        data = piece.read_bytes()
        if not data:
            return
        yield data
        os.truncate(piece, 0)
        number += 1


def _piece(folder: Path, number: int) -> Path:
    return folder / f"stdin.{number}"


def _is_passed_on(piece: Path) -> bool:
    try:
        return piece.stat().st_size == 0
    except OSError:  # its folder is gone, which is soon told
        return False
