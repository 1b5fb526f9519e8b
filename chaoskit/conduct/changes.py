"""Finds and copies the files that a command has changed in an overlay of its working directory.

Rules: directories are held by descriptors and no symbolic link is followed, because what is copied may come from a
guest, and the target may hold links. Only directories, regular files and symbolic links are copied, with their
permissions, without set-user-ID bits; a file is complete before it gets its name. Nothing is deleted in the target, and
what cannot be copied is named and does not stop the rest. Number, depth and size are bounded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

MOST_FILES, MOST_BYTES = 100_000, 2 << 30
_DEEPEST, _PIECE = 64, 1 << 20
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DRAFT = ".chaoskit-copy"


@dataclass(frozen=True)
class Changes:
    """What was changed, by paths relative to the directory: files, new empty directories (`new/`), what is gone."""

    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


def find_changes(upper: int, lower: int | None) -> Changes:
    """What an overlay's directory `upper` changes in `lower`, both descriptors; without `lower` everything in it."""
    changed: list[str] = []
    deleted: list[str] = []
    for top, folders, files, descriptor in os.fwalk(".", dir_fd=upper):
        parent = "" if top == "." else f"{top.removeprefix('./')}/"
        if parent and not folders and not files and _status(parent, lower) is None:
            changed.append(parent)
        for name in sorted((*folders, *files)):  # a link to a folder is among the folders
            path, found = parent + name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            former = _status(path, lower)
            if stat.S_ISDIR(found.st_mode) and (former is None or stat.S_ISDIR(former.st_mode)):
                continue
            if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:  # a whiteout
                deleted += [path] if former is not None else []
            elif former is None or not _is_same(path, (found, upper), (former, lower)):
                changed.append(path)
        if parent and lower is not None and _is_opaque(descriptor):
            deleted += [parent + name for name in sorted(_names(parent, lower) - {*folders, *files})]
        if parent.count("/") >= _DEEPEST or len(changed) > MOST_FILES:
            folders.clear()
    return Changes(tuple(changed[:MOST_FILES]), tuple(deleted[:MOST_FILES]))


def copy_files(paths: tuple[str, ...], source: int, target: int) -> list[str]:
    """Copy these from the directory `source` to `target`, both descriptors. Returns why some could not be copied."""
    left = MOST_BYTES
    failed: list[str] = []
    for path in paths:
        *parents, name = path.rstrip("/").split("/")
        try:
            outer = _descend(source, parents)
            try:
                found = os.stat(name, dir_fd=outer, follow_symlinks=False)
                left -= found.st_size if stat.S_ISREG(found.st_mode) else 0
                if left < 0:
                    return [*failed, f"{path} and what follows: more than {MOST_BYTES >> 30} GiB"]
                inner = _descend(target, parents, source)
                try:
                    _copy(name, found, outer, inner)
                finally:
                    _remove(_DRAFT, inner)
                    os.close(inner)
            finally:
                os.close(outer)
        except OSError as error:
            failed.append(f"{path}: {error.strerror}")
    return failed


def _copy(name: str, found: os.stat_result, source: int, target: int) -> None:
    """Copy one entry; a directory without what is in it."""
    match stat.S_IFMT(found.st_mode):
        case stat.S_IFDIR:
            os.close(_make_folder(target, name, found))
        case stat.S_IFLNK:
            _remove(_DRAFT, target)
            os.symlink(os.readlink(name, dir_fd=source), _DRAFT, dir_fd=target)
            os.rename(_DRAFT, name, src_dir_fd=target, dst_dir_fd=target)
        case stat.S_IFREG:
            _remove(_DRAFT, target)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            reader, writer = os.open(name, flags, dir_fd=source), os.open(_DRAFT, _NEW, 0o600, dir_fd=target)
            with open(reader, "rb") as old, open(writer, "wb") as new:  # noqa: PTH123  descriptors, not paths
                remaining = found.st_size
                while remaining > 0 and (piece := old.read(min(_PIECE, remaining))):
                    new.write(piece)
                    remaining -= len(piece)
                os.fchmod(writer, found.st_mode & 0o777)
            os.rename(_DRAFT, name, src_dir_fd=target, dst_dir_fd=target)
        case _:
            raise OSError(0, "neither a file, a directory nor a symbolic link")


def _descend(folder: int, parents: list[str], like: int | None = None) -> int:
    """A descriptor of the folder below; with `like`, what is missing is made with the modes that it has there."""
    here = os.dup(folder)
    for depth, name in enumerate(parents, 1):
        try:
            if like is None:
                below = os.open(name, _FOLDER, dir_fd=here)
            else:
                original = _descend(like, parents[:depth])
                try:
                    below = _make_folder(here, name, os.fstat(original))
                finally:
                    os.close(original)
        finally:
            os.close(here)
        here = below
    return here


def _make_folder(parent: int, name: str, like: os.stat_result) -> int:
    """A descriptor of the folder, which is made if it is missing."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return os.open(name, _FOLDER, dir_fd=parent)
    made = os.open(name, _FOLDER, dir_fd=parent)
    os.fchmod(made, like.st_mode & 0o777 | stat.S_IRWXU)
    return made


def _remove(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _status(path: str, lower: int | None) -> os.stat_result | None:
    try:
        return None if lower is None else os.stat(path, dir_fd=lower, follow_symlinks=False)
    except OSError:
        return None


def _is_same(path: str, new: tuple[os.stat_result, int], old: tuple[os.stat_result, int | None]) -> bool:
    """Whether an entry that an overlay has copied is still what it was: a file of equal mode and content."""
    (found, upper), (former, lower) = new, old
    if found.st_mode != former.st_mode or found.st_size != former.st_size or not stat.S_ISREG(found.st_mode):
        return False
    try:
        return all(a == b for a, b in zip(_pieces(path, upper), _pieces(path, lower), strict=True))
    except (OSError, ValueError):
        return False


def _pieces(path: str, folder: int | None) -> Iterator[bytes]:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as file:  # noqa: PTH123
        while piece := file.read(_PIECE):
            yield piece


def _is_opaque(folder: int) -> bool:
    """Whether a folder of an overlay hides what the lower folder has (Documentation/filesystems/overlayfs.rst)."""
    for attribute in _OPAQUE:
        try:
            return os.getxattr(folder, attribute) == b"y"
        except OSError:
            continue
    return False


def _names(path: str, lower: int) -> set[str]:
    try:
        folder = os.open(path, _FOLDER, dir_fd=lower)
    except OSError:
        return set()
    try:
        return set(os.listdir(folder))  # noqa: PTH208  a descriptor, not a path
    finally:
        os.close(folder)
