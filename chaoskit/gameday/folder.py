"""Holds the folder of a suite: its lock, its summary, and a run directory for each run.

    gameday.json      the summary, replaced atomically after each change
    gameday.yaml      the suite file as it was
    NAME/             the run directory of each run, or of its matrix
    commands.log      what the commands of the suite wrote
    interrupted.runs/ the directories of runs that were interrupted and repeated

The lock is held by this process and by the runs that it started, so that a resumed suite waits for what a killed one
still restores.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from chaoskit.analysis.suite_result import LOCK, SUMMARY, SuiteResult, as_json, load_suite_result
from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError, SpecError
from chaoskit.folder import Folder, display_path
from chaoskit.records.directory import cannot_write, claim, make_next

COPY, ASIDE = "gameday.yaml", "interrupted.runs"
_RESTORING = 120 * 10**9  # ns that the runs of a killed suite may take to restore everything
_POLL = 100_000_000
_MOST = 10_000


class GamedayFolder:
    """The folder, held open and locked; a context manager."""

    def __init__(self, folder: Folder, lock: int) -> None:
        self._folder, self.lock = folder, lock
        self.path = folder.path.absolute()

    @property
    def folder(self) -> Folder:
        """The directory itself."""
        return self._folder

    @classmethod
    def create(cls, place: Path, is_named: bool, text: str) -> GamedayFolder:
        """A new one with this suite file; one that is not named gets a number if it exists.

        Raises SpecError where it is not empty, RefusedError where it cannot be written.
        """
        place = place if is_named else make_next(place)
        if os.path.lexists(place / SUMMARY):
            raise SpecError(f"{display_path(place)} is the folder of a suite: --resume goes on with it")
        try:
            folder = claim(place)
            held = cls(folder, _locked(folder))
            folder.replace(COPY, text.encode())
        except OSError as error:
            raise cannot_write(place, error) from error
        return held

    @classmethod
    def resume(cls, place: Path, fingerprint: str) -> tuple[GamedayFolder, SuiteResult]:
        """An existing one, and its summary. Raises SpecError where it is another suite's, RefusedError in use."""
        found = load_suite_result(place)
        try:
            folder = Folder.open(place, follow=True)
            folder.require_own()
            held = cls(folder, _locked(folder))
        except OSError as error:
            raise cannot_write(place, error) from error
        found = load_suite_result(place)  # which the former owner may have changed until now
        if found.fingerprint != fingerprint:
            held.close()
            raise SpecError(
                f"{display_path(place)} is of {found.file}, and that or an experiment of it is another now; "
                "give another --out, without --resume"
            )
        return held, found

    def write(self, found: SuiteResult) -> None:
        """Replace the summary. Raises RefusedError when it cannot be written; the old one is then unchanged."""
        try:
            self._folder.replace(SUMMARY, as_json(found).encode())
        except OSError as error:
            with suppress(OSError):
                self._folder.remove(f"{SUMMARY}.new")
            raise RefusedError(
                f"cannot write {display_path(self.path / SUMMARY)}: {error.strerror}; free some space, then repeat the "
                f"command with --out {display_path(self.path)} --resume"
            ) from error

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
        os.close(self.lock)
        self._folder.close()

    def __enter__(self) -> GamedayFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def latest(parent: Path, name: str) -> Path:
    """The latest folder of this suite in the folder where they are without --out. Raises SpecError."""
    try:
        named = (each for each in parent.iterdir() if each.name.startswith(f"{name}-2"))
        found = sorted(each for each in named if (each / SUMMARY).exists())
    except OSError:
        found = []
    if not found:
        raise SpecError(f"--resume: there is no folder of {name} in {parent}; name one by --out, or leave --resume out")
    return found[-1]


def _locked(folder: Folder) -> int:
    """The lock's descriptor. Raises RefusedError where another process has it, OSError."""
    try:
        fd = folder.open_file(LOCK, os.O_RDWR)
    except FileNotFoundError:
        fd = folder.create(LOCK)
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
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd
