"""Reads from a git checkout which commit it is at, and whether a file differs, without running git.

git obeys the configuration of the repository it looks at (filters, fsmonitor, remotes), which may be somebody else's
while chaoskit is root. Rules: regular files only, bounded sizes; only names of commits are taken from them; what cannot
be read is None (gitrepository-layout(5), gitformat-index(5)).
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import SpecError
from chaoskit.records.untrusted_files import open_regular

_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # SHA-1 or SHA-256
_REFERENCE = re.compile(rb"ref: (refs/[\w/.@+-]{1,200})")
_MOST = 1 << 20  # bytes of HEAD, of a reference
_MOST_OF_INDEX = 64 << 20
_STATS, _FLAGS, _EXTENDED, _STAGE, _NAME_LENGTH = 40, 2, 0x4000, 0x3000, 0xFFF


@dataclass(frozen=True)
class Checkout:
    """A working tree, its `git` directory, and the commit that HEAD names."""

    top: Path
    git: Path
    commit: str


def checkout(folder: Path) -> Checkout | None:
    """The checkout that holds this folder; None outside of one, or before its first commit."""
    for top in (folder, *folder.parents):
        git = top / ".git"
        if git.is_file():  # a linked worktree, a submodule
            named = _read(git, _MOST).partition(b"gitdir: ")[2].strip()
            git = top / named.decode(errors="replace")
        if (git / "HEAD").is_file():
            commit = _commit(git)
            return Checkout(top, git, commit) if commit else None
    return None


def branch(tree: Checkout) -> str | None:
    """The branch that HEAD names; None when it names a commit."""
    named = _REFERENCE.fullmatch(_read(tree.git / "HEAD", _MOST).strip())
    name = named[1].decode() if named else ""
    return name.removeprefix("refs/heads/") if name.startswith("refs/heads/") else None


def common(git: Path) -> Path:
    """The directory that a linked worktree shares with the others, where the configuration is; else `git` itself."""
    return git / _read(git / "commondir", _MOST).strip().decode(errors="replace")


def is_modified(tree: Checkout, file: Path, content: bytes) -> bool | None:
    """Whether the file is not what git has of it, staged changes included: changed since, or never added."""
    try:
        name = str(file.relative_to(tree.top)).encode()
        recorded = _entries(_read(tree.git / "index", _MOST_OF_INDEX), len(tree.commit) // 2)
        known = next((blob for path, blob in recorded if path == name), None)
    except (ValueError, struct.error, IndexError):
        return None
    make = hashlib.sha1 if len(tree.commit) == 40 else hashlib.sha256
    return known != make(b"blob %d\0" % len(content) + content).digest()


def _commit(git: Path) -> str | None:
    head = _read(git / "HEAD", _MOST).strip()
    if _COMMIT.fullmatch(head):
        return head.decode()
    named = _REFERENCE.fullmatch(head)
    if named is None or b".." in named[1]:
        return None
    for place in (git, common(git)):
        commit = _read(place / named[1].decode(), _MOST).strip()
        if _COMMIT.fullmatch(commit):
            return commit.decode()
        for line in _read(place / "packed-refs", _MOST_OF_INDEX).splitlines():
            commit, _, reference = line.partition(b" ")
            if reference == named[1] and _COMMIT.fullmatch(commit):
                return commit.decode()
    return None


def _entries(index: bytes, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Path and blob of each file in an index with hashes of `size` bytes."""
    mark, version, count = struct.unpack_from(">4sLL", index)
    if mark != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("no index")
    at, path = 12, b""
    for _ in range(count):
        begin, at = at, at + _STATS
        blob, at = index[at : at + size], at + size
        (flags,) = struct.unpack_from(">H", index, at)
        at += _FLAGS + (2 if flags & _EXTENDED else 0)
        if version == 4:
            removed, at = _number(index, at)
            path = path[: len(path) - removed]
        else:
            path = b""
        end = index.index(b"\0", at)
        path, at = path + index[at:end], end + 1
        if version != 4:
            at = begin + (end - begin + 8) // 8 * 8
        if not flags & _STAGE:
            yield path, blob


def _number(index: bytes, at: int) -> tuple[int, int]:
    """A number of variable width, and where it ends."""
    value = index[at] & 0x7F
    while index[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (index[at] & 0x7F)
    return value, at + 1


def _read(path: Path, most: int) -> bytes:
    """The content of a small file; nothing when it cannot be read."""
    try:
        file = open_regular(path)
        if file is None:
            return b""
        with file:
            return file.read(most)
    except (SpecError, OSError, ValueError):
        return b""
