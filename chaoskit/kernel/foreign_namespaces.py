"""Opens network namespaces that other programs made, by name, path or process, and finds where one is.

Rules: a namespace is opened once, and everything later uses that descriptor; what is opened is a network namespace, or
it is refused; a process is held by a pidfd meanwhile, so that a later process with its number is never taken for it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.kernel.rights import has_sys_admin

NAMED = Path("/run/netns")
"""Where ip-netns(8) keeps the namespaces that have a name."""
_GET_TYPE, _NETWORK = 0xB703, 0x4000_0000  # linux/nsfs.h: NS_GET_NSTYPE; sched.h: CLONE_NEWNET
_INITIAL = {"pid": 0xEFFF_FFFC, "user": 0xEFFF_FFFD}  # linux/proc_ns.h: PROC_PID_INIT_INO, PROC_USER_INIT_INO
_OPENAT2, _NO_MAGIC_LINKS, _IN_ROOT = 437, 0x02, 0x10  # openat2(2), linux/openat2.h
_MAX_NAMES = 10  # in a message
_libc = ctypes.CDLL(None, use_errno=True)


def open_named(name: str) -> int:
    """A descriptor of the network namespace with this name of ip netns, or at this path. The caller closes it.

    Raises RefusedError.
    """
    path = Path(name) if "/" in name else NAMED / name
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)  # a device or a pipe would act when it is opened
    except OSError as error:
        raise RefusedError(f"no network namespace {name}: {_why_not(name, path, error)}") from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise RefusedError(f"{path} is no network namespace: ip netns shows those that have a name")
        found = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RefusedError(f"{path} cannot be opened: {error.strerror}") from None
    finally:
        os.close(fd)
    if not _is_network(found):
        os.close(found)
        leftover = f": if it is left over, sudo ip netns delete {name}" if path.parent == NAMED else ""
        raise RefusedError(f"{path} is no network namespace{leftover}")
    return found


def _why_not(name: str, path: Path, error: OSError) -> str:
    if "/" in name or error.errno != errno.ENOENT:
        return f"{path}: {error.strerror}"
    names = sorted(each.name for each in NAMED.iterdir()) if NAMED.is_dir() else []
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    known = ", ".join(names[:_MAX_NAMES]) + more
    return f"ip netns has {known}" if known else "ip netns has none; for a process or a container: --pid or --container"


@contextmanager
def held_process(pid: int) -> Iterator[Path]:
    """The folder of a process in /proc, whose contents were this process's if the body ends without an error.

    Raises RefusedError when there is no such process, or when it ended before the body did.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        reason = "that is a thread" if error.errno == errno.EINVAL else "it has ended, or never was"
        raise RefusedError(f"no process {pid} here: {reason}; see ps -e") from None
    try:
        try:
            yield Path("/proc", str(pid))
        except OSError as error:
            raise RefusedError(f"process {pid} cannot be examined: {error.strerror}; see ps {pid}") from None
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        if ended.poll(0):
            raise RefusedError(f"process {pid} has just ended: give another one in that network namespace")
    finally:
        os.close(pidfd)


def open_of_process(process: Path) -> int:
    """A descriptor of the network namespace of the process with this folder. Raises OSError."""
    return os.open(process / "ns" / "net", os.O_RDONLY | os.O_CLOEXEC)


def open_below(root: Path, path: str) -> int:
    """A descriptor of a file below `root`, for reading, as a process whose root that is would open it.

    Links stay below it, and a pipe does not block. Raises OSError.
    """
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        how = struct.pack("=QQQ", flags, 0, _IN_ROOT | _NO_MAGIC_LINKS)
        found = int(_libc.syscall(_OPENAT2, fd, path.encode(), how, len(how)))
        if found < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        return found
    finally:
        os.close(fd)


def ways_in(inode: int) -> Iterator[str]:
    """Options that enter the network namespace with this inode: `--netns blue`, `--netns PATH` or `--pid PID`.

    Names first, then places where it is mounted, then processes that are in it or hold it open, as far as this user
    may see them. None for a namespace that is gone.
    """
    with suppress(OSError):
        for named in sorted(NAMED.iterdir()):
            with suppress(OSError):
                if named.stat().st_ino == inode and _is_mounted_namespace(named):
                    yield f"--netns {named.name}"
    processes = sorted(Path("/proc").glob("[0-9]*"), key=lambda each: int(each.name))
    for process in processes:
        with suppress(OSError):
            if (process / "ns" / "net").stat().st_ino == inode:
                yield f"--pid {process.name}"
                break
    link, seen = f"net:[{inode}]", set()
    for process in processes:
        with suppress(OSError):
            if (mounts := (process / "ns" / "mnt").stat().st_ino) not in seen:
                seen.add(mounts)
                for line in (process / "mountinfo").read_text(errors="replace").splitlines():
                    columns = line.split()
                    if columns[3] == link:
                        yield f"--netns /proc/{process.name}/root{columns[4]}"
    for process in processes:
        with suppress(OSError):
            for fd in (process / "fd").iterdir():
                with suppress(OSError):
                    if os.readlink(fd) == link:  # noqa: PTH115  as text
                        yield f"--netns {fd}"


def sees_all() -> bool:
    """Whether `ways_in` finds every network namespace: root of the machine itself, outside of any container."""
    own = {kind: Path("/proc/self/ns", kind).stat().st_ino for kind in _INITIAL}
    return own == _INITIAL and has_sys_admin()


def _is_mounted_namespace(path: Path) -> bool:
    """Whether a namespace is mounted here: a plain file may have the same inode number."""
    return path.stat().st_dev != path.parent.stat().st_dev


def _is_network(fd: int) -> bool:
    try:
        return fcntl.ioctl(fd, _GET_TYPE) == _NETWORK
    except OSError:
        return False
