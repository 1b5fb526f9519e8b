"""Makes groups of processes with a limit on their number, by control groups (cgroup2).

The kernel needs the pids controller. A group is a directory below `ROOT`. A process joins it by its PID in
`cgroup.procs`; its children are in it, too, and a fork above the limit fails with EAGAIN
(Documentation/admin-guide/cgroup-v2.rst). Nothing of a group remains but an empty directory once its processes have
ended.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from chaoskit.errors import RefusedError

ROOT = Path("/sys/fs/cgroup")
"""Where the hierarchy is mounted: by systemd, and in a guest by its init process."""


def create(name: str, limit: int) -> Path:
    """Make the group for at most `limit` processes and threads, and return its directory. Raises RefusedError."""
    group = ROOT / name
    try:
        group.mkdir()
        with (group / "pids.max").open("r+") as file:  # not made here: another kind of file system takes any name
            file.write(str(limit))
    except OSError as error:
        remove(group)
        raise RefusedError(_refusal(error)) from error
    return group


def remove(group: Path) -> None:
    """Remove an empty group. Does nothing if it does not exist, or if processes are in it."""
    with contextlib.suppress(OSError):
        group.rmdir()


def _refusal(error: OSError) -> str:
    why = "the number of processes cannot be limited"
    try:
        controllers = (ROOT / "cgroup.controllers").read_text().split()
    except OSError:
        return f"{why}, {ROOT} is no cgroup2: boot with systemd.unified_cgroup_hierarchy=1, or --substrate uml"
    if isinstance(error, PermissionError):
        return f"{why} by this user ({error.strerror}): run as root, or --substrate uml"
    if "pids" in controllers:
        return f"{why} ({error.strerror}): echo +pids | sudo tee {ROOT}/cgroup.subtree_control, or --substrate uml"
    return f"{why}, the kernel has no pids controller: --substrate uml"
