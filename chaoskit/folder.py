"""Creates, reads and removes files in a directory held open, without following symbolic links.

Rules: a name is one path component; a new file is created with O_EXCL and gets its mode whatever the umask; a file is
read only if it is a regular file of root, the effective user or the directory's owner that no other user can write,
and is not longer than its limit. Renaming the directory, or one above it, has no effect on the open directory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chaoskit import file_trust
from chaoskit.errors import RefusedError

PUBLIC, PRIVATE = 0o755, 0o700
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_FILE = 0o666  # the part of a directory's mode that a file in it gets
_ROOT = 0
_ADVICE = "use a folder of your own: export CHAOSKIT_STATE=DIRECTORY"
_DESCRIPTORS = Path("/proc/self/fd")
_FD_PART = len(_DESCRIPTORS.parts)


class Folder:
    """An open directory; a context manager. `path` is its name when it was opened, for messages."""

    def __init__(self, fd: int, path: Path) -> None:
        self.fd, self.path = fd, path
        found = os.fstat(fd)
        self._owners, self._mode = {_ROOT, os.geteuid(), found.st_uid}, stat.S_IMODE(found.st_mode)

    @classmethod
    def open(cls, path: Path, follow: bool = False) -> Folder:
        """Raises OSError where there is no directory, or where it is a symbolic link and `follow` is false."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        return cls(os.open(path, flags), path)

    @classmethod
    def trusted(cls, path: Path, is_parent: bool = False) -> Folder:
        """A directory that only root and the effective user can change or replace; `is_parent` as in `untrusted`.

        Raises RefusedError that names the directory to correct, and OSError where there is none.
        """
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if found := file_trust.weakness(path, os.geteuid(), is_parent):
            os.close(fd)
            raise RefusedError(f"{found.reason}, so chaoskit does not act on {path}: {found.remedy or _ADVICE}")
        return cls(fd, path)

    def require_own(self) -> None:
        """Remove write permission for other users. Raises RefusedError where another user owns it, and OSError."""
        found = os.fstat(self.fd)
        if found.st_uid != os.geteuid():
            raise RefusedError(
                f"{self.path} is owned by user {found.st_uid}, who could change what is in it; give another --out"
            )
        if found.st_mode & _OTHERS:
            os.fchmod(self.fd, stat.S_IMODE(found.st_mode) & ~_OTHERS)
            self._mode &= ~_OTHERS

    def make(self, name: str, mode: int = PUBLIC) -> Folder:
        """A new directory in it. Raises OSError, FileExistsError for anything of that name."""
        os.mkdir(name, mode, dir_fd=self.fd)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        os.fchmod(fd, mode)
        return Folder(fd, self.path / name)

    def folder(self, name: str) -> Folder:
        """A directory in it. Raises OSError, and RefusedError where another user owns it or can write it."""
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        return Folder(self._checked(fd, name), self.path / name)

    def create(self, name: str) -> int:
        """A descriptor of a new file, to be read and appended to. Raises OSError, FileExistsError where one is."""
        fd = os.open(
            name, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.fd
        )
        os.fchmod(fd, self._mode & _FILE)
        return fd

    def open_file(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of an existing file.

        Raises OSError, and RefusedError where it is not a regular file, or another user owns it or can write it.
        """
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        return self._checked(fd, name, is_file=True)

    def read(self, name: str, limit: int) -> bytes:
        """A file's content. Raises OSError, and RefusedError as `open_file` or when it is longer than `limit` bytes."""
        fd = self.open_file(name)
        try:
            return read_all(fd, limit, self.path / name)
        finally:
            os.close(fd)

    def replace(self, name: str, content: bytes) -> None:
        """Replace a file atomically; synced to disk on return. Raises OSError."""
        draft = f"{name}.new"
        self.remove(draft)
        fd = self.create(draft)
        try:
            while content:
                content = content[os.write(fd, content) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(draft, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        self.sync()

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def names(self) -> list[str]:
        """The names in it, sorted."""
        return sorted(os.listdir(self.fd))  # noqa: PTH208  a descriptor, not a path

    def sync(self) -> None:
        """Sync the directory to disk."""
        os.fsync(self.fd)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self, fd: int, name: str, is_file: bool = False) -> int:
        found = os.fstat(fd)
        place, reason = self.path / name, ""
        if is_file and not stat.S_ISREG(found.st_mode):
            reason = f"{place} is not a regular file"
        elif found.st_uid not in self._owners:
            reason = f"{place} is owned by user {found.st_uid}"
        elif found.st_mode & _OTHERS:
            reason = f"{place} can be written by others"
        if reason:
            os.close(fd)
            raise RefusedError(f"{reason}, so chaoskit does not use it: check it, then remove it or chmod go-w {place}")
        return fd


def make_trusted(path: Path) -> Folder:
    """The directory, created with its parents if it does not exist, with mode 0755.

    Raises OSError, and RefusedError as `Folder.trusted`.
    """
    missing = []
    while not path.is_dir():
        if path.is_symlink() or path.exists():
            raise NotADirectoryError(20, "Not a directory", str(path))
        missing.append(path.name)
        path = path.parent
    folder = Folder.trusted(path, is_parent=bool(missing))
    for name in reversed(missing):
        with folder as parent:
            try:
                folder = parent.make(name)
            except FileExistsError:  # created by another process meanwhile
                folder = parent.folder(name)
    return folder


def pinned(folder: Folder) -> Path:
    """A path to it that stays valid while this process and its children live, also after a rename.

    `descriptor` gives the descriptor that a child must inherit, `display_path` the path to show to a person.
    """
    fd = os.dup(folder.fd)
    os.set_inheritable(fd, True)
    return _DESCRIPTORS / str(fd)


def release(path: Path) -> None:
    """Close the descriptor of a pinned path, which is not valid afterwards."""
    held = descriptor(path)
    if held is not None:
        os.close(held)


def descriptor(path: Path) -> int | None:
    """The descriptor in a pinned path, or in a path below one; None for any other path."""
    return int(path.parts[_FD_PART]) if path.is_relative_to(_DESCRIPTORS) and len(path.parts) > _FD_PART else None


def display_path(path: Path) -> Path:
    """The real path of a pinned path, or of one below it, relative to the current directory where possible."""
    if descriptor(path) is None:
        return path
    pin = Path(*path.parts[: _FD_PART + 1])
    named = pin.readlink().joinpath(*path.parts[_FD_PART + 1 :])
    return named.relative_to(Path.cwd()) if named.is_relative_to(Path.cwd()) else named


def telling_names(paths: Sequence[Path]) -> list[str]:
    """A short name for each path that tells it from the others: its last parts, as few as that takes.

    The same path twice has the same name.
    """
    whole = [path.absolute().parts for path in paths]
    count = next(
        (count for count in range(1, max(map(len, whole), default=1)) if _are_distinct(whole, count)),
        max(map(len, whole), default=1),
    )
    return [str(Path(*parts[-count:])) for parts in whole]


def _are_distinct(whole: Sequence[tuple[str, ...]], count: int) -> bool:
    return len({parts[-count:] for parts in whole}) == len(set(whole))


def is_full(error: OSError) -> bool:
    """Whether there is no space on the disk, or none that this user may take."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def why_not_written(path: Path, error: OSError) -> str:
    """The reason in words: "no such file" of a new path in a folder that exists is about the folder."""
    if error.errno == errno.ENOENT and path.parent.is_dir():
        return f"nothing can be made in {display_path(path.parent)}"
    return error.strerror or str(error)


def read_all(fd: int, limit: int, path: Path) -> bytes:
    """The whole content of a file. Raises RefusedError when it is longer than `limit` bytes."""
    parts, at = [], 0
    while at <= limit and (part := os.pread(fd, min(1 << 20, limit + 1 - at), at)):
        parts.append(part)
        at += len(part)
    if at > limit:
        raise RefusedError(f"{path} is longer than {limit} bytes and is not read: check what it is")
    return b"".join(parts)
