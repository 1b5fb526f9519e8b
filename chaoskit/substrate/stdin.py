"""Forwards standard input to a command in a guest, chunk by chunk, each a file.

Rules: an empty chunk is the end. A growing file does not work, because a guest caches its size; deleting files does not
work, because a guest mistakes a new file with the same inode for the old one. So the guest truncates the chunks that it
has read. The host writes a limited number of chunks ahead, so that endless input does not fill the disk. Read and write
errors are reported in `failure`; otherwise the command would wait without end.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError

MAX_AHEAD = 64  # pieces
LONGEST = 64 << 20  # bytes, of input that is stored before the guest starts
_CHUNK_SIZE = 1 << 16
_POLL = 20_000_000  # ns


class StdinFeeder:
    """Writes the chunks of a descriptor into a folder, in its own thread. A context manager.

    Nothing is written after its exit. `failure` is why the rest of the input is missing.
    """

    def __init__(self, folder: Path, source: int = 0) -> None:
        self.failure: RefusedError | None = None
        self._folder, self._source = folder, source
        self._is_closed, self._writing = threading.Event(), threading.Lock()

    def __enter__(self) -> StdinFeeder:
        threading.Thread(target=self._feed, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._writing:
            self._is_closed.set()

    def _feed(self) -> None:
        number = 0
        try:
            while self._wait_for_guest(number) and self.put_next(number):
                number += 1
        except RefusedError as error:
            self.failure = error

    def put_next(self, number: int) -> int:
        """Read a chunk and write it. Returns its length, 0 at the end. Raises RefusedError."""
        chunk = self._read()
        self._put(number, chunk)
        return len(chunk)

    def _wait_for_guest(self, number: int) -> bool:
        """Wait until the guest has consumed enough. Returns False if the guest has ended."""
        behind = _chunk_path(self._folder, number - MAX_AHEAD)
        while number >= MAX_AHEAD and not _is_consumed(behind):
            if self._is_closed.wait(_POLL / 1e9):
                return False
        return True

    def _read(self) -> bytes:
        try:
            select.select([self._source], (), ())  # the descriptor may be non-blocking
            return os.read(self._source, _CHUNK_SIZE)
        except OSError as error:
            raise RefusedError(f"standard input cannot be read: {error.strerror}; give a file or a pipe") from error

    def _put(self, number: int, chunk: bytes) -> None:
        part = self._folder / "part"
        with self._writing:
            if self._is_closed.is_set():
                return
            try:
                part.write_bytes(chunk)
                part.rename(_chunk_path(self._folder, number))
            except OSError as error:
                raise RefusedError(
                    f"no room for standard input in {self._folder.parent}: {error.strerror}; export TMPDIR=DIRECTORY"
                ) from error


def store_input(folder: Path, source: int = 0) -> None:
    """Write all chunks of a descriptor into a folder, before a guest starts, whose clock does not wait for more.

    Raises RefusedError when it cannot be read or stored, or is longer than LONGEST.
    """
    feeder, number, total = StdinFeeder(folder, source), 0, 0
    while length := feeder.put_next(number):
        number, total = number + 1, total + length
        if total > LONGEST:
            raise RefusedError(
                f"standard input is longer than {LONGEST >> 20} MiB, and a guest in virtual time gets all of it "
                "before it starts: give the command a file's name, or use --clock real"
            )


def chunks(folder: Path, clock: Clock, look: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """In the guest: the chunks until the end. A chunk is consumed when the next one is requested.

    `look` is called whenever one is awaited.
    """
    number = 0
    while True:
        chunk = _chunk_path(folder, number)
        while not chunk.exists():
            look()
            clock.sleep_until(clock.now() + _POLL)
        data = chunk.read_bytes()
        if not data:
            return
        yield data
        os.truncate(chunk, 0)
        number += 1


def _chunk_path(folder: Path, number: int) -> Path:
    return folder / f"stdin.{number}"


def _is_consumed(chunk: Path) -> bool:
    try:
        return chunk.stat().st_size == 0
    except OSError:  # the folder is gone, and with it the guest
        return False
