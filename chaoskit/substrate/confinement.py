"""Confines the process of a guest kernel: it can write in its folders only, and has no capabilities.

A guest's kernel is a process of this machine, and root in the guest can make it write wherever that process can: the
guest's read-only mount does not prevent that. So the process runs in a mount namespace in which everything is read-only
except these folders, and it loses the capabilities to change that:

| who starts it                      | how                                                                        |
|------------------------------------|----------------------------------------------------------------------------|
| root, with CAP_SYS_ADMIN           | a mount namespace; one capability is kept, to read the files of all users  |
| a user who may make user namespaces | a mount namespace in a user namespace; no capability is left              |
| any other user                     | not at all; `obstacle` says why                                           |

Rules: mounts are private, so later mounts do not appear; no device can be opened; executing a program grants no
privileges (PR_SET_NO_NEW_PRIVS). The guest's memory is in its own tmpfs, which ends with the process. Not restricted:
what the process may read, and the sockets that its user may connect to.
"""

from __future__ import annotations

import ctypes
import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from chaoskit.kernel import namespaces

MEMORY_MOUNT = "/sys"
"""Mount point of the tmpfs; inside the guest, its own sysfs covers it."""

_NEWNS, _NEWUSER = 0x0002_0000, 0x1000_0000  # clone(2)
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x4_0000  # mount(2)
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000  # mount_setattr(2), Linux 5.12; one number everywhere
_RDONLY, _NODEV = 0x1, 0x4  # MOUNT_ATTR_
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 24, 38, 47, 4  # prctl(2)
_DAC_READ_SEARCH, _LAST = 2, 63  # capabilities(7)
_MORE = 1 << 26  # bytes that a guest's kernel maps besides the guest's memory
_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    """struct mount_attr, linux/mount.h."""

    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def confine(folders: Sequence[tuple[Path, Path]], memory: int) -> None:
    """Confine this process and what it executes, permanently. It must have one thread. OSError if that fails.

    Each folder has two paths: one that stays valid, and its name. FileNotFoundError if that names another folder by
    now. What is mounted in a folder is visible, and not writable.
    """
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(_NEWNS) < 0:
        _check("unshare", _libc.unshare(_NEWUSER | _NEWNS))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE)
    targets = [os.fsencode(place) for _, place in folders]
    for (folder, place), target in zip(folders, targets, strict=True):
        _mount(target, target, None, _MS_BIND | _MS_REC)  # later renames have no effect in this namespace
        if not os.path.samestat(folder.stat(), place.stat()):
            raise FileNotFoundError(errno.ENOENT, "the folder was renamed", str(place))
    _mount(b"none", MEMORY_MOUNT.encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=700,size=%d" % (memory + _MORE))
    _set_attributes(b"/", _AT_RECURSIVE, _Attributes(set=_RDONLY | _NODEV))
    for writable in (*targets, MEMORY_MOUNT.encode()):
        _set_attributes(writable, 0, _Attributes(clear=_RDONLY))
    for capability in range(_LAST + 1):
        if capability != _DAC_READ_SEARCH or user != 0:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # EINVAL beyond the last that this kernel knows
    _libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    _check("prctl", _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


@cache
def obstacle() -> str:
    """Why a guest cannot be confined on this machine, found by trying; "" if it can."""
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        return _in_child(lambda: _try(Path(folder).resolve()))


def _try(folder: Path) -> str:
    """Runs in its own process."""
    try:
        confine([(folder, folder)], 0)
        (folder / "file").touch()
    except OSError as error:
        return f"{error.strerror} ({error.filename}); {_remedy(error.errno)}"
    if not os.statvfs("/").f_flag & os.ST_RDONLY:
        return "this machine's files stay writable in a mount namespace"
    if not Path(f"/proc/{os.getppid()}/net/dev").exists():  # the guest checks it to see whether this process runs
        return "/proc hides the processes of others (hidepid)"
    return ""


def _remedy(code: int | None) -> str:
    match code:
        case errno.ENOSYS:
            return "Linux 5.12 or later is needed"
        case errno.ENOSPC | errno.EUSERS:
            return "sudo sysctl -w user.max_user_namespaces=10000"
        case _ if os.geteuid() == 0:
            return "in a container: docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined"
        case _:
            return f"sudo sysctl -w {closed}" if (closed := namespaces.userns_sysctls()) else "start it as root"


def _in_child(ask: Callable[[], str]) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, ask().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:  # noqa: PTH123  a descriptor, not a path
        said = answer.read().decode(errors="replace")
    os.waitpid(child, 0)
    return said


def _mount(source: bytes, place: bytes, kind: bytes | None, flags: int, options: bytes | None = None) -> None:
    _check(f"mount {os.fsdecode(place)}", _libc.mount(source, place, kind, flags, options))


def _set_attributes(place: bytes, flags: int, wanted: _Attributes) -> None:
    size = ctypes.sizeof(wanted)
    result = _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, place, flags, ctypes.byref(wanted), size)
    _check(f"mount_setattr {os.fsdecode(place)}", result)


def _check(what: str, result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
