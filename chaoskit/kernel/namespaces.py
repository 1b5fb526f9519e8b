"""Network namespaces without names and without processes: two system calls and a file descriptor.

A namespace lives as long as a descriptor, a process or a socket holds it; nobody else can find it, and
when its holder dies it is gone with everything in it. A socket stays in the namespace it was made in.
The functions act on the calling thread alone. (`os.setns` and `os.unshare` came with Python 3.12.)
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaoskit.errors import RefusedError

_NEWNS, _NEWUSER, _NEWNET = 0x0002_0000, 0x1000_0000, 0x4000_0000  # clone(2)
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x8_0000  # mount(2)
_libc = ctypes.CDLL(None, use_errno=True)


def current() -> int:
    """A new descriptor of the calling thread's network namespace. The caller closes it."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def make() -> int:
    """A descriptor of a new, empty network namespace. The caller closes it; the thread stays where it was.

    Raises RefusedError without the right to make one.
    """
    with _returning():
        leave()
        return current()


def may_be_made() -> bool:
    """Whether we have the right to make one as we are. Root in a container often has not."""
    try:
        os.close(make())
    except RefusedError:
        return False
    return True


def leave() -> None:
    """Move the calling thread into a new, empty network namespace. Raises RefusedError."""
    _check(_libc.unshare(_NEWNET))


def enter(fd: int) -> None:
    """Move the calling thread into the namespace behind `fd`. Raises RefusedError."""
    _check(_libc.setns(fd, _NEWNET))


@contextmanager
def inside(fd: int) -> Iterator[None]:
    """The body runs in the namespace behind `fd`. It must not await: the whole thread has moved."""
    with _returning():
        enter(fd)
        yield


@contextmanager
def _returning() -> Iterator[None]:
    """Wherever the body goes, and however it ends, the thread is back afterwards."""
    here = current()
    try:
        yield
    finally:
        try:
            enter(here)
        finally:
            os.close(here)


def enter_user_namespace() -> None:
    """Make this unprivileged process root in user and network namespaces of its own, for good.

    It must have one thread at this moment. Children inherit both. Raises RefusedError with the remedy.
    """
    _enter_as(0, 0, _NEWUSER | _NEWNET)


def give_up_rights(user: int, group: int) -> None:
    """Be this user again, in one more user namespace, without any right over the namespaces that we are in.

    Of those that `enter_user_namespace` made; files of that user's are its own as before. Raises RefusedError.
    """
    _enter_as(user, group, _NEWUSER)


def cover(path: str, source: str) -> None:
    """From here on this process and its children, and nobody else, read `source` where `path` stands.

    Raises RefusedError.
    """
    if (
        _libc.unshare(_NEWNS) < 0
        or _libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None) < 0
        or _libc.mount(source.encode(), path.encode(), None, _MS_BIND, None) < 0
    ):
        words = os.strerror(ctypes.get_errno())
        raise RefusedError(f"{source} cannot be put over {path} ({words}): run as root")


def _enter_as(user: int, group: int, flags: int) -> None:
    """Be `user` and `group` in a new user namespace, and in new ones of the other flags."""
    outer_user, outer_group = os.geteuid(), os.getegid()
    try:
        if _libc.unshare(flags) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {outer_user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {outer_group} 1")
    except OSError as error:
        raise RefusedError(f"no user namespace for us ({error.strerror}): {_remedy(error.errno)}") from error


def _remedy(code: int | None) -> str:
    match code:
        case errno.EINVAL:
            return "this process has several threads already; use the chaoskit command"
        case errno.ENOSPC | errno.EUSERS:
            return "sudo sysctl -w user.max_user_namespaces=10000, or run as root, or --substrate uml"
        case _:
            allow = f"sudo sysctl -w {closed}, or " if (closed := closed_switches()) else ""
            return f"{allow}run as root, or --substrate uml"


def closed_switches() -> str:
    """What to give to sysctl so that users may make user namespaces: Debian's switch and Ubuntu's, where they are
    closed. Both answer with EPERM or EACCES."""
    switches = {
        "kernel.unprivileged_userns_clone": "1",
        "kernel.apparmor_restrict_unprivileged_userns": "0",
    }
    return " ".join(f"{key}={value}" for key, value in switches.items() if _is_closed(key, value))


def _is_closed(switch: str, wide_open: str) -> bool:
    path = Path("/proc/sys", *switch.split("."))
    return path.exists() and path.read_text().strip() != wide_open


def _check(result: int) -> None:
    if result < 0:
        words = os.strerror(ctypes.get_errno())
        raise RefusedError(
            f"network namespaces are not ours to make or enter ({words}): run as root, or --substrate uml"
        )
