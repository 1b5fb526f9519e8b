"""Holds a folder of run directories open and locked, with a document that says what was done.

    NAME/             a run directory for each cell
    interrupted.runs/ the directories of runs that were interrupted and repeated

The lock is held by this process and by the runs that it started, so that what goes on after a killed process waits for
what its runs still restore. A new folder whose document could never be written, as on a full disk, is removed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.folder import Folder, display_path, is_full
from chaoskit.records.directory import cannot_write, claim

ASIDE = "interrupted.runs"
_RESTORING = 120 * 10**9  # ns that the runs of a killed process may take to restore everything
_POLL = 100_000_000
_MOST = 10_000


class RunsFolder:
    """The folder; a context manager. `lock` is the descriptor of its lock, a file in it.

    One that `is_new` was empty before.
    """

    def __init__(self, folder: Folder, lock_file: str, is_new: bool = False) -> None:
        self._folder, self._is_blank = folder, is_new
        self.path = folder.path.absolute()
        try:
            self.lock = _locked(folder, lock_file)
        except BaseException:
            self._release()
            raise

    @classmethod
    def make(cls, place: Path, lock_file: str, files: Mapping[str, str] | None = None) -> Self:
        """A new one, or an empty one, with these files. Raises SpecError where it is not empty, RefusedError."""
        try:
            held = cls(claim(place), lock_file, is_new=True)
            try:
                for name, text in (files or {}).items():
                    held.folder.replace(name, text.encode())
            except BaseException:
                held.close()
                raise
        except OSError as error:
            raise cannot_write(place, error) from error
        return held

    @classmethod
    def open(cls, place: Path, lock_file: str) -> Self:
        """An existing one. Raises RefusedError where it is in use, or another user's."""
        try:
            folder = Folder.open(place, follow=True)
            folder.require_own()
            return cls(folder, lock_file)
        except OSError as error:
            raise cannot_write(place, error) from error

    @property
    def folder(self) -> Folder:
        """The directory itself."""
        return self._folder

    def write(self, name: str, text: str, remedy: str) -> None:
        """Replace a document. Raises RefusedError with the remedy when that fails; the old one is then unchanged."""
        try:
            self._folder.replace(name, text.encode())
        except OSError as error:
            with suppress(OSError):
                self._folder.remove(f"{name}.new")
            raise self.cannot_write(name, error, "repeat the command" if self._is_blank else remedy) from error
        self._is_blank = False

    def cannot_write(self, name: str, error: OSError, remedy: str) -> RefusedError:
        """The error for a file of it, with what to do once it can be written again."""
        reason, first = error.strerror, "free some space" if is_full(error) else "make it writable"
        if error.errno == errno.ENOENT:
            reason, first, remedy = "its folder was removed meanwhile", "", "give another --out"
        then = ", then ".join(filter(None, (first, remedy)))
        return RefusedError(f"cannot write {display_path(self.path / name)}: {reason}; {then}")

    def set_aside(self, name: str) -> None:
        """Move the directory of an interrupted run away, if there is one, so that it can be repeated."""
        place = self.path / name
        if not os.path.lexists(place):
            return
        try:
            with suppress(FileExistsError):
                (self.path / ASIDE).mkdir()
            for number in range(1, _MOST):
                aside = self.path / ASIDE / f"{name}-{number}"
                if not os.path.lexists(aside):
                    place.rename(aside)
                    return
        except OSError as error:
            raise cannot_write(place, error) from error

    def close(self) -> None:
        """Release it. The lock lasts until the last run has ended."""
        self._release()
        os.close(self.lock)

    def _release(self) -> None:
        """Close the folder. A new one without its document is removed, with all that was written into it."""
        if self._is_blank:
            with suppress(OSError):
                for name in self._folder.names():
                    self._folder.remove(name)
                self.path.rmdir()
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _locked(folder: Folder, name: str) -> int:
    """The lock's descriptor. Raises RefusedError where another process has it, OSError."""
    try:
        fd = folder.open_file(name, os.O_RDWR)
    except FileNotFoundError:
        fd = folder.create(name)
    clock = RealClock()
    end = clock.now() + _RESTORING
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(fd, 20, 0).decode(errors="replace").strip()
            if not owner.isdecimal() or Path(f"/proc/{owner}").exists() or clock.now() > end:
                os.close(fd)
                who = f"process {owner}" if owner.isdecimal() else "another process"
                raise RefusedError(
                    f"{display_path(folder.path)} is in use by {who}: wait for its end, or give another --out"
                ) from None
            clock.sleep_until(clock.now() + _POLL)
            continue
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            os.close(fd)
            raise
        return fd
