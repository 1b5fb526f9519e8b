"""Checks whether another user could change the file behind a path, by owners and modes.

The model is sshd's StrictModes (sshd_config(5)): a file is as safe as the weakest directory above it.

Rules: root and one user are trusted, nobody else; every group counts as other users, even one with a single member; a
directory that others can write is accepted only if it is sticky, because then only an entry's owner can remove the
entry, and that owner is checked next; a symbolic link is checked like any component, and so is its target. The mask of
an access control list shows as the group's bits (acl(5)), so a list that lets another user write is detected. In a user
namespace that root is not mapped into, an unmapped owner cannot be told from root, and is taken for root.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = 0
_LINKS = 40  # path_resolution(7)
_CHMOD = "chmod go-w "
_MAP, _NOBODY = Path("/proc/self/uid_map"), Path("/proc/sys/kernel/overflowuid")  # user_namespaces(7)


@dataclass(frozen=True)
class Weakness:
    """What lets another user change the file, and the command against it; "" where it would need another owner."""

    reason: str
    remedy: str = ""


def untrusted(path: Path, uid: int, is_parent: bool = False) -> str:
    """Why a user other than root and this one could change the file behind `path`; "" when none could.

    The reason is a sentence that begins with the path: "/a/b is owned by user 1000". A path that does not exist or
    cannot be examined is a reason too.
    """
    found = weakness(path, uid, is_parent)
    return found.reason if found else ""


def weakness(path: Path, uid: int, is_parent: bool = False) -> Weakness | None:
    """The same with its remedy; None when none could. `is_parent`: a file is created in it, so it may be sticky.

    The remedy is one command for all components that others can write.
    """
    found = list(_weaknesses(path, uid, is_parent))
    lasting = next((each for each in found if _CHMOD not in each.remedy), None)
    if lasting or not found:
        return lasting
    sudo = "sudo " if any(each.remedy.startswith("sudo ") for each in found) else ""
    places = dict.fromkeys(each.remedy.partition(_CHMOD)[2] for each in found)
    return Weakness(found[0].reason, f"{sudo}{_CHMOD}{' '.join(places)}")


def _weaknesses(path: Path, uid: int, is_parent: bool) -> Iterator[Weakness]:
    """What is wrong with each component, from the root down."""
    try:
        trusted = _trusted(uid)
    except OSError:
        yield Weakness("/proc is not mounted, and without it owners cannot be told apart", "mount -t proc proc /proc")
        return
    here, links = Path("/"), 0
    ahead = list(reversed((Path.cwd() / path).parts[1:]))
    try:
        yield from _look(here, os.lstat(here), trusted, is_passed=is_parent or bool(ahead))
        while ahead:
            name = ahead.pop()
            here = here.parent if name == ".." else here / name
            status = os.lstat(here)
            is_link = stat.S_ISLNK(status.st_mode)
            yield from _look(here, status, trusted, is_passed=is_link or is_parent or bool(ahead))
            if is_link:
                links += 1
                if links > _LINKS:
                    yield Weakness(f"{path} leads through more than {_LINKS} symbolic links")
                    return
                target = here.readlink()
                ahead += reversed(target.parts[1:] if target.is_absolute() else target.parts)
                here = Path("/") if target.is_absolute() else here.parent
    except OSError as error:
        yield Weakness(f"{here} cannot be examined: {error.strerror}")


def _look(place: Path, status: os.stat_result, trusted: frozenset[int], is_passed: bool) -> Iterator[Weakness]:
    """What is wrong with one component; `is_passed` when another component follows."""
    if status.st_uid not in trusted:
        yield Weakness(f"{place} is owned by user {status.st_uid}")
        return
    if stat.S_ISLNK(status.st_mode) or (is_passed and status.st_mode & stat.S_ISVTX):
        return
    writers = [who for bit, who in ((stat.S_IWGRP, "group"), (stat.S_IWOTH, "others")) if status.st_mode & bit]
    if writers:
        sudo = "" if status.st_uid == os.geteuid() else "sudo "
        remedy = f"{sudo}{_CHMOD}{shlex.quote(str(place))}"
        yield Weakness(f"{place} can be written by {' and '.join(writers)}", remedy)


def _trusted(uid: int) -> frozenset[int]:
    """The user ids of root and this user in this user namespace."""
    nobody = int(_NOBODY.read_text())
    ranges = [tuple(map(int, line.split())) for line in _MAP.read_text().splitlines()]
    is_mapped = any(first <= nobody < first + count for first, _, count in ranges)
    has_root = any(outside == _ROOT for _, outside, _ in ranges)
    return frozenset({_ROOT, uid} | (set() if is_mapped or has_root else {nobody}))
