"""Creates and enters unnamed network namespaces, which are held by file descriptors.

A namespace lives as long as a descriptor, a process or a socket holds it; no other process can find it, and
when its holder dies it disappears with everything in it. A socket stays in the namespace it was created in.
The functions act on the calling thread alone. (`os.setns` and `os.unshare` need Python 3.12.)
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaoskit.errors import RefusedError

_NEWNS, _NEWUTS, _NEWUSER, _NEWPID, _NEWNET = (
    0x0002_0000,
    0x0400_0000,
    0x1000_0000,
    0x2000_0000,
    0x4000_0000,
)  # clone(2)
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x8_0000  # mount(2)
_libc = ctypes.CDLL(None, use_errno=True)


def open_current() -> int:
    """A new descriptor of the calling thread's network namespace. The caller closes it."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def current_inode() -> int:
    """The inode of the calling thread's network namespace, which tells it from all others that exist."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


def create() -> int:
    """A descriptor of a new, empty network namespace. The caller closes it; the thread stays in its namespace.

    Raises RefusedError without the privilege to create one.
    """
    with _restoring_namespace():
        unshare()
        return open_current()


def can_create() -> bool:
    """Whether this process may create network namespaces. Root in a container often may not."""
    try:
        os.close(create())
    except RefusedError:
        return False
    return True


def unshare() -> None:
    """Move the calling thread into a new, empty network namespace. Raises RefusedError."""
    _check(_libc.unshare(_NEWNET))


def enter(fd: int) -> None:
    """Move the calling thread into the namespace behind `fd`. Raises RefusedError.

    Where the thread is there already, nothing is done: setns(2) needs CAP_SYS_ADMIN for that, too.
    """
    if os.fstat(fd).st_ino != current_inode():
        _check(_libc.setns(fd, _NEWNET))


@contextmanager
def inside(fd: int) -> Iterator[None]:
    """Runs the body in the namespace behind `fd`. It must not await: the whole thread is moved."""
    with _restoring_namespace():
        enter(fd)
        yield


@contextmanager
def _restoring_namespace() -> Iterator[None]:
    """Returns the thread to its namespace after the body, however it ends."""
    former = open_current()
    try:
        yield
    finally:
        try:
            enter(former)
        finally:
            os.close(former)


def enter_user_namespace() -> None:
    """Make this unprivileged process root in new user and network namespaces, permanently.

    It must have one thread. Children inherit both namespaces. Raises RefusedError with the remedy.
    """
    _enter_as(0, 0, _NEWUSER | _NEWNET)


def drop_privileges(user: int, group: int) -> None:
    """Become this user in a nested user namespace, without privileges over the current namespaces.

    For processes after `enter_user_namespace`; the user keeps the ownership of its files. Raises RefusedError.
    """
    _enter_as(user, group, _NEWUSER)


def unshare_processes() -> None:
    """Put the children of this process, from now on, into a PID namespace that ends with the first of them.

    Raises RefusedError.
    """
    if _libc.unshare(_NEWPID) < 0:
        reason = os.strerror(ctypes.get_errno())
        raise RefusedError(f"a PID namespace cannot be created ({reason}): run as root, or --substrate uml")


def enter_processes_of(pid: int) -> None:
    """Move this process into the mount and host-name namespaces of another one, and its children among its processes.

    It must have one thread. Raises RefusedError.
    """
    for name, kind in (("uts", _NEWUTS), ("pid", _NEWPID), ("mnt", _NEWNS)):  # /proc is another's after the last
        try:
            fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if name == "uts":  # a kernel without them
                continue
            raise RefusedError("the processes of the host have ended: look at its log") from None
        _check(_libc.setns(fd, kind))
        os.close(fd)


def set_host_name(name: str) -> None:
    """Give this process and its children a host name of their own; without effect in a kernel that cannot."""
    if _libc.unshare(_NEWUTS) == 0:
        _libc.sethostname(name.encode(), len(name.encode()))


def is_in_user_namespace() -> bool:
    """Whether root here is not the machine's root (user_namespaces(7))."""
    return Path("/proc/self/uid_map").read_text().split()[:3] != ["0", "0", str(2**32 - 1)]


def outer_ids() -> tuple[int, int]:
    """The user and group outside that are root in this user namespace."""
    user, group = (int(Path(f"/proc/self/{kind}_map").read_text().split()[1]) for kind in ("uid", "gid"))
    return user, group


def bind_mount(path: str, source: str) -> None:
    """Bind-mount `source` over `path`, for this process and its children only.

    Raises RefusedError.
    """
    if (
        _libc.unshare(_NEWNS) < 0
        or _libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None) < 0
        or _libc.mount(source.encode(), path.encode(), None, _MS_BIND, None) < 0
    ):
        reason = os.strerror(ctypes.get_errno())
        raise RefusedError(f"{source} cannot be mounted over {path} ({reason}): run as root")


def _enter_as(user: int, group: int, flags: int) -> None:
    """Become `user` and `group` in a new user namespace, and enter new namespaces of the other flags."""
    outer_user, outer_group = os.geteuid(), os.getegid()
    try:
        if _libc.unshare(flags) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {outer_user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {outer_group} 1")
    except OSError as error:
        raise RefusedError(f"cannot create a user namespace ({error.strerror}): {_advice(error.errno)}") from error


def _advice(code: int | None) -> str:
    match code:
        case errno.EINVAL:
            return "this process has several threads already; use the chaoskit command"
        case errno.ENOSPC | errno.EUSERS:
            return "sudo sysctl -w user.max_user_namespaces=10000, or run as root, or --substrate uml"
        case _:
            allow = f"sudo sysctl -w {arguments}, or " if (arguments := userns_sysctls()) else ""
            return f"{allow}run as root, or --substrate uml"


def userns_sysctls() -> str:
    """Arguments of sysctl that allow unprivileged user namespaces: the restrictions of Debian and Ubuntu that are in
    effect. Both cause EPERM or EACCES."""
    switches = {
        "kernel.unprivileged_userns_clone": "1",
        "kernel.apparmor_restrict_unprivileged_userns": "0",
    }
    return " ".join(f"{key}={value}" for key, value in switches.items() if _is_restricted(key, value))


def _is_restricted(switch: str, allowed: str) -> bool:
    path = Path("/proc/sys", *switch.split("."))
    return path.exists() and path.read_text().strip() != allowed


def _check(result: int) -> None:
    if result < 0:
        reason = os.strerror(ctypes.get_errno())
        raise RefusedError(
            f"network namespaces cannot be created or entered ({reason}): run as root, or --substrate uml"
        )
