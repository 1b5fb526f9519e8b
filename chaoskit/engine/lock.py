"""Lets one chaoskit at a time work in a network namespace.

The lock is an abstract unix socket, bound in the network namespace whose interfaces are changed: it has no file, it is
visible from every container that shares the namespace, and the kernel releases it when its last holder dies.

Rules: each holder binds a name with a random suffix, so that nobody can take the name first. Taking the lock means to
bind such a name and then to find no other holder among the names that the kernel lists. The kernel tells a process that
connects which process listens, and its user (SO_PEERCRED, unix(7)). Only root and the effective user can hold the lock;
a listener of another user is reported, and otherwise ignored.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaoskit.clock import RealClock
from chaoskit.engine.close_on_fork import close_on_fork
from chaoskit.errors import RefusedError

NAME = "chaoskit"
_UNIX_SOCKETS = "/proc/thread-self/net/unix"  # of the calling thread's network namespace, see proc_net(5)
_ACCEPTS_CONNECTIONS = b"00010000"  # __SO_ACCEPTCON, in its fourth column
_BACKLOG = 4096  # connections that may wait; the watchdog accepts them
_ATTEMPTS = 6  # two that start at the same instant see each other, and both try again
_BACKOFF = 2_000_000  # ns, times a random byte's upper four bits
_ROOT = 0


@dataclass(frozen=True)
class Holder:
    """The process that listens on a name of the lock. Zero and None: not visible from here."""

    pid: int = 0
    uid: int | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether it holds the lock: root or the effective user."""
        return self.uid in (_ROOT, os.geteuid())

    def __str__(self) -> str:
        if self.uid is None:
            return "a process that cannot be seen from here"
        process = describe_process(self.pid or None)
        return process if self.is_trusted else f"{process} of user {self.uid}"


class Lock:
    """The namespace's lock, held; a context manager."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = close_on_fork(listener)

    @classmethod
    def take(cls, name: str = NAME) -> Lock:
        """Take it, in the network namespace of the calling thread.

        Raises RefusedError that names the holder and says what to type.
        """
        for _ in range(_ATTEMPTS):
            listener, own = _bound(name)
            found = next((each for each in _holders(name, except_for=own) if each.is_trusted), None)
            if found is None:
                return cls(listener)
            listener.close()
            clock = RealClock()
            clock.sleep_until(clock.now() + _BACKOFF * (1 + os.urandom(1)[0] // 16))
        raise RefusedError(
            f"another chaoskit works in this network namespace, {found}: wait for it, or see chaoskit status, "
            "or end it with chaoskit restore"
        )

    def copy(self) -> int:
        """A descriptor of the same lock, for a child to inherit. The lock is held until the last one is closed."""
        return os.dup(self._listener.fileno())

    def release(self) -> None:
        """Release it. It stays taken while copies of it are open."""
        self._listener.close()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def become_holder(copy: int) -> None:
    """Make the calling process the one that others see as the holder. `copy` is a descriptor of the lock."""
    with socket.socket(fileno=os.dup(copy)) as listener:
        listener.listen(_BACKLOG)


def accept_waiting(copy: int) -> None:
    """Accept and close one connection of a process that looked for the holder, so that the backlog has room."""
    with socket.socket(fileno=os.dup(copy)) as listener:
        listener.setblocking(False)
        try:
            listener.accept()[0].close()
        except OSError:
            return


def is_taken(name: str = NAME) -> bool:
    """Whether a process holds it."""
    return holder(name) is not None


def holder(name: str = NAME) -> Holder | None:
    """The holder of the lock in the calling thread's network namespace."""
    return next((each for each in _holders(name) if each.is_trusted), None)


def untrusted_holders(name: str = NAME) -> list[Holder]:
    """Listeners of other users on names of the lock, which do not count."""
    return [each for each in _holders(name) if not each.is_trusted]


def describe_process(pid: int | None) -> str:
    """A process by its pid and command line."""
    if pid is None:
        return "in another container"
    try:
        command = Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({command})" if command else f"process {pid}"


def _bound(name: str) -> tuple[socket.socket, str]:
    """A socket that listens on a new name of the lock, and that name. Raises RefusedError."""
    own = f"{name}/{os.urandom(8).hex()}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(f"\0{own}")
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise RefusedError(
            f"cannot take the lock of this network namespace: {error.strerror}; chaoskit doctor"
        ) from error
    return listener, own


def _holders(name: str, except_for: str = "") -> Iterator[Holder]:
    """Every process that listens on a name of the lock."""
    inodes = {}
    for line in Path(_UNIX_SOCKETS).read_bytes().splitlines():
        columns = line.split(None, 7)
        if len(columns) == 8 and columns[3] == _ACCEPTS_CONNECTIONS and columns[7].startswith(f"@{name}/".encode()):
            inodes[columns[7][1:]] = columns[6].decode()
    inodes.pop(except_for.encode(), None)
    for each, inode in sorted(inodes.items()):
        found = _peer(each, inode)
        if found is not None:
            yield found


def _peer(name: bytes, inode: str) -> Holder | None:
    """The process that listens on this abstract name, with a socket of this inode; None when it has gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as client:
        client.setblocking(False)
        try:
            client.connect(b"\0" + name)
        except BlockingIOError:  # the backlog is full
            return _owner(inode)
        except OSError:
            return None
        pid, uid, _ = struct.unpack("iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return Holder(pid, uid)


def _owner(inode: str) -> Holder:
    """The process that has this socket open, with its effective user, as far as this process may look."""
    link = f"socket:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(os.readlink(fd) == link for fd in (process / "fd").iterdir()):  # noqa: PTH115  as text
                status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
                return Holder(int(process.name), int(status["Uid"].split()[1]))
    return Holder()
