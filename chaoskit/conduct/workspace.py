"""Gives a command a working directory that it may write in: an overlay, whose changes are kept apart.

| directory                       | what the command's changes become                                        |
|---------------------------------|--------------------------------------------------------------------------|
| the working directory           | collected by `collect`, and gone with this process                       |
| /tmp, in a guest                | gone with the guest                                                      |
| a directory that is `writable`  | made in the directory itself                                             |

Rules: the command and its children alone see the overlays, in a mount namespace of their own. Changes are kept in
memory, in a file system of limited size.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaoskit.conduct.changes import copy_files, find_changes
from chaoskit.errors import RefusedError
from chaoskit.kernel import mounts

SIZE = 512 << 20  # bytes of changes, here; in a guest it is half of the guest's memory
_NEARLY_FULL = 1 << 20  # bytes: what the lab itself kept there is free again by then
_UPPER, _WORK = "upper", "work"
_PATH = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True)
class Collected:
    """The changes of a command, why some could not be copied, and whether there was no room for more."""

    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    is_full: bool = False


@dataclass(frozen=True)
class _Overlay:
    """An overlay of a directory: the folder for its changes, and descriptors to collect them later."""

    place: Path
    folder: Path
    lower: int
    upper: int

    def mount(self, directory: int) -> None:
        """Mount it over its place, which is `directory` without other overlays."""
        upper, work = (os.open(self.folder / name, _PATH) for name in (_UPPER, _WORK))
        mounts.mount_overlay(directory, upper, work, self.place)


class Workspace:
    """The overlays of one command. `prepare` them, `enter` them in the child, then `collect`."""

    def __init__(
        self,
        directory: Path,
        writable: tuple[Path, ...] = (),
        others: tuple[Path, ...] = (),
        store: Path | None = None,
    ) -> None:
        self._directory, self._writable, self._store = directory, writable, store
        is_covered = directory == Path("/") or any(directory.is_relative_to(each) for each in writable)
        self._places = tuple(dict.fromkeys((*others, *(() if is_covered else (directory,)))))
        self._overlays: list[_Overlay] = []
        self._memory: Path | None = None

    def prepare(self) -> None:
        """Make the folders for changes in the store, or in new memory that only this process and its children see.

        Raises RefusedError when memory cannot be mounted.
        """
        try:
            if (store := self._store) is None:
                mounts.unshare()
                store = Path(tempfile.mkdtemp(prefix="chaoskit-"))
                mounts.mount_memory(store, SIZE)
                self._memory = store
            for number, place in enumerate(self._places):
                self._overlays.append(_overlay(place, store / f"overlay-{number}"))
        except OSError as error:
            raise RefusedError(_refusal(self._directory, error)) from error

    def close(self) -> None:
        """Remove the folder of memory that `prepare` made."""
        if self._memory is not None:
            mounts.detach(self._memory)
            self._memory.rmdir()
            self._memory = None

    def enter(self) -> None:
        """Mount the overlays, and go to the working directory. In the child alone. Raises RefusedError."""
        try:
            mounts.unshare()
            # opened here, because a descriptor belongs to its mount namespace, and before anything covers it
            lower = [os.open(each.place, _PATH) for each in self._overlays]
            kept = [os.open(place, _PATH) for place in self._writable]
            for each, directory in zip(self._overlays, lower, strict=True):
                each.mount(directory)
            for directory, place in zip(kept, self._writable, strict=True):
                mounts.bind(directory, place)
            os.chdir(self._directory)
        except OSError as error:
            raise RefusedError(_refusal(self._directory, error)) from error

    def collect(self, target: int | None) -> Collected:
        """What the command has changed in its working directory, copied to the directory `target` if that is given."""
        for each in self._overlays:
            if each.place == self._directory:
                found = find_changes(each.upper, each.lower)
                failed = () if target is None else tuple(copy_files(found.changed, each.upper, target))
                room = os.fstatvfs(each.upper)
                return Collected(
                    found.changed,
                    found.deleted,
                    failed,
                    room.f_bavail * room.f_frsize < _NEARLY_FULL or not room.f_favail,
                )
        return Collected()


def _overlay(place: Path, folder: Path) -> _Overlay:
    """Folders for the changes of `place`, which look like it: an overlay shows the owner and the mode of these."""
    lower = os.open(place, _PATH)
    found = os.fstat(lower)
    for name in (_UPPER, _WORK):
        (folder / name).mkdir(parents=True)
    upper = os.open(folder / _UPPER, _PATH)
    with suppress(OSError):  # an owner that is not in this user namespace
        os.fchown(upper, found.st_uid, found.st_gid)
    os.fchmod(upper, stat.S_IMODE(found.st_mode))
    return _Overlay(place, folder, lower, upper)


def _refusal(directory: Path, error: OSError) -> str:
    return (
        f"{directory} cannot be made writable for the command by an overlay ({error.strerror}: {error.filename}): go "
        "to another directory, or give --writable . instead of --out"
    )
