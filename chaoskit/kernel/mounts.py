"""Mounts directories for this process and its children alone: memory, overlays, and binds.

A directory is given by a descriptor and mounted by its path in /proc/self/fd, which needs no escapes in mount options
and stays the same directory whatever is mounted over its name. Raises OSError with the name of what failed.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from chaoskit.kernel.namespaces import is_in_user_namespace

_NEWNS = 0x0002_0000  # clone(2)
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_SLAVE = 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x8_0000  # mount(2)
_MNT_DETACH = 0x2  # umount2(2)
_MOUNT_SETATTR, _PIVOT_ROOT, _AT_FDCWD, _AT_RECURSIVE = 442, 155, -100, 0x8000  # mount_setattr(2), Linux 5.12
_MOUNT_ATTR_RDONLY = 0x1
_libc = ctypes.CDLL(None, use_errno=True)


def unshare() -> None:
    """Move the calling thread into a copy of its mount namespace; its mounts are not seen outside."""
    _check("unshare", _libc.unshare(_NEWNS))
    _mount("none", "/", None, _MS_REC | _MS_SLAVE)


def mount_memory(place: Path, size: int) -> None:
    """Mount a file system in memory of at most `size` bytes."""
    _mount("none", str(place), "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=700,size={size}")


def mount_overlay(lower: int, upper: int, work: int, place: Path) -> None:
    """Mount the directory `lower` over `place`; what is changed there goes to `upper`. Both are descriptors.

    `work` is an empty directory beside `upper` (Documentation/filesystems/overlayfs.rst).
    """
    kind = ",userxattr" if is_in_user_namespace() else ""  # the attributes that root of a user namespace may set
    folders = f"lowerdir={_by_descriptor(lower)},upperdir={_by_descriptor(upper)},workdir={_by_descriptor(work)}"
    _mount("overlay", str(place), "overlay", _MS_NOSUID | _MS_NODEV, folders + kind)


def bind(directory: int, place: Path) -> None:
    """Mount a directory, with what is mounted in it, over `place`."""
    _mount(_by_descriptor(directory), str(place), None, _MS_BIND | _MS_REC)


def make_read_only(place: Path, recursive: bool = False) -> None:
    """Make a mount read-only, here alone; with all that are mounted in it if `recursive`."""
    wanted = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY)  # struct mount_attr, linux/mount.h
    flags = _AT_RECURSIVE if recursive else 0
    size = ctypes.sizeof(wanted)
    result = _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(place), flags, ctypes.byref(wanted), size)
    _check(f"mount_setattr {place}", result)


def mount_proc(place: Path) -> None:
    """Mount the processes of the calling process's PID namespace."""
    _mount("proc", str(place), "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def mount_terminals(place: Path) -> None:
    """Mount a file system of pseudo-terminals, devpts (Documentation/filesystems/devpts.rst)."""
    _mount("devpts", str(place), "devpts", _MS_NOSUID | _MS_NOEXEC, "ptmxmode=0666")


def pivot(root: Path) -> None:
    """Make a mounted directory the root directory of this mount namespace, and unmount the former one."""
    os.chdir(root)
    _check("pivot_root", _libc.syscall(_PIVOT_ROOT, b".", b"."))  # both at one place, pivot_root(2)
    _check("umount", _libc.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def detach(place: Path) -> None:
    """Unmount it now, although it may be in use."""
    _check(f"umount {place}", _libc.umount2(os.fsencode(place), _MNT_DETACH))


def _by_descriptor(directory: int) -> str:
    return f"/proc/self/fd/{directory}"


def _mount(source: str, place: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = (os.fsencode(word) if word is not None else None for word in (source, place, kind))
    _check(f"mount {place}", _libc.mount(*words, flags, os.fsencode(options) if options else None))


def _check(what: str, result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
