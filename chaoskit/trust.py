"""Whether somebody else could change what a path leads to, by the owners and modes of all that it passes.

The model is sshd's StrictModes (sshd_config(5)): a file is as safe as the weakest directory above it. Rules: root and
one user are trusted, nobody else; a group is others, even one with a single member; a directory that others can write
is passed only when it is sticky, for then nobody but an entry's owner can take the entry away, and the owner is
checked next; a symbolic link is a component as any other, and so is what it leads through. The mask of an access
control list shows as the group's bits (acl(5)), so a list that lets somebody else write is seen. In a user namespace
that does not map root, root's files show as the overflow user's (user_namespaces(7)), which is trusted there.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_ROOT = 0
_EVERYBODY = 2**32 - 1  # ids that the first user namespace maps
_LINKS = 40  # path_resolution(7)


def untrusted(path: Path, uid: int, is_parent: bool = False) -> str:
    """Why somebody else than root and this user could change what `path` leads to; "" when nobody could.

    The reason is a sentence that begins with the place: "/a/b is owned by user 1000". A place that does not exist or
    cannot be examined is a reason too. `is_parent`: something is about to be made in it, so it may be sticky.
    """
    here, links = Path("/"), 0
    trusted = _superusers() | {uid}
    ahead = list(reversed((Path.cwd() / path).parts[1:]))
    try:
        if reason := _weakness(here, os.lstat(here), trusted, is_passed=is_parent or bool(ahead)):
            return reason
        while ahead:
            name = ahead.pop()
            here = here.parent if name == ".." else here / name
            found = os.lstat(here)
            is_link = stat.S_ISLNK(found.st_mode)
            if reason := _weakness(here, found, trusted, is_passed=is_link or is_parent or bool(ahead)):
                return reason
            if is_link:
                links += 1
                if links > _LINKS:
                    return f"{path} leads through more than {_LINKS} symbolic links"
                target = here.readlink()
                ahead += reversed(target.parts[1:] if target.is_absolute() else target.parts)
                here = Path("/") if target.is_absolute() else here.parent
    except OSError as error:
        return f"{here} cannot be examined: {error.strerror}"
    return ""


def _weakness(place: Path, found: os.stat_result, trusted: set[int], is_passed: bool) -> str:
    """What is wrong with one component; `is_passed` when there is another behind it."""
    if found.st_uid not in trusted:
        return f"{place} is owned by user {found.st_uid}"
    if stat.S_ISLNK(found.st_mode) or (is_passed and found.st_mode & stat.S_ISVTX):
        return ""
    writers = [who for bit, who in ((stat.S_IWGRP, "group"), (stat.S_IWOTH, "others")) if found.st_mode & bit]
    return f"{place} can be written by {' and '.join(writers)}" if writers else ""


def _superusers() -> set[int]:
    """Root, as its files show in this user namespace."""
    mapped = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    if any(int(first) == int(outside) == _ROOT and int(count) == _EVERYBODY for first, outside, count in mapped):
        return {_ROOT}
    return {_ROOT, int(Path("/proc/sys/kernel/overflowuid").read_text())}
