"""One chaoskit at a time in a network namespace.

The lock is an abstract unix socket, bound in the network namespace whose interfaces it is about: it has no file,
it is seen from every container that shares the namespace, and the kernel frees it when its last holder dies.

Rules: each holder binds a name with a random end, so that nobody can take the name first. Taking the lock is binding
one, and then finding no other holder among the names that the kernel lists. By connecting one learns from the kernel
which process listens, and of which user (SO_PEERCRED, unix(7)). Only root and the effective user hold the lock;
anybody else with such a name is a stranger: named, and otherwise ignored.
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
_LISTED = "/proc/thread-self/net/unix"  # of the calling thread's network namespace, see proc_net(5)
_LISTENS = b"00010000"  # __SO_ACCEPTCON, in its fourth column
_MANY = 4096  # connections that may wait; the watchdog takes them off
_TRIES = 6  # two that began in one instant see each other, and both try again
_PAUSE = 2_000_000  # ns, times a random byte's upper four bits
_ROOT = 0


@dataclass(frozen=True)
class Holder:
    """Who listens on a name of the lock's. Zero and None: not to be seen from here."""

    pid: int = 0
    uid: int | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether its hold counts."""
        return self.uid in (_ROOT, os.geteuid())

    def __str__(self) -> str:
        if self.uid is None:
            return "a process that cannot be seen from here"
        who = told(self.pid or None)
        return who if self.is_trusted else f"{who} of user {self.uid}"


class Lock:
    """The namespace's lock, held; a context manager."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = close_on_fork(listener)

    @classmethod
    def take(cls, name: str = NAME) -> Lock:
        """Take it, in the network namespace of the calling thread.

        Raises RefusedError that names the holder and says what to type.
        """
        for _ in range(_TRIES):
            listener, own = _bound(name)
            found = next((each for each in _holders(name, besides=own) if each.is_trusted), None)
            if found is None:
                return cls(listener)
            listener.close()
            clock = RealClock()
            clock.sleep_until(clock.now() + _PAUSE * (1 + os.urandom(1)[0] // 16))
        raise RefusedError(
            f"chaoskit is at work in this network namespace already, {found}: wait for it, or see chaoskit status, "
            "or end it with chaoskit restore"
        )

    def copy(self) -> int:
        """A descriptor of the same lock, for a child to inherit. The lock is held until the last one is closed."""
        return os.dup(self._listener.fileno())

    def release(self) -> None:
        """Let go of it. It stays taken while copies of it are open."""
        self._listener.close()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def adopt(copy: int) -> None:
    """Become the process that is named as the holder. `copy` is a descriptor of the lock."""
    with socket.socket(fileno=os.dup(copy)) as listener:
        listener.listen(_MANY)


def answer(copy: int) -> None:
    """Take off a connection of somebody who has looked, so that the next one finds room."""
    with socket.socket(fileno=os.dup(copy)) as listener:
        listener.setblocking(False)
        try:
            listener.accept()[0].close()
        except OSError:
            return


def is_taken(name: str = NAME) -> bool:
    """Whether anybody holds it."""
    return holder(name) is not None


def holder(name: str = NAME) -> Holder | None:
    """Who holds the lock of the calling thread's network namespace."""
    return next((each for each in _holders(name) if each.is_trusted), None)


def strangers(name: str = NAME) -> list[Holder]:
    """Whose names look like the lock's and do not count."""
    return [each for each in _holders(name) if not each.is_trusted]


def told(pid: int | None) -> str:
    """A process in words."""
    if pid is None:
        return "of another container"
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({words})" if words else f"process {pid}"


def _bound(name: str) -> tuple[socket.socket, str]:
    """A socket that listens on a new name of the lock's, and that name. Raises RefusedError."""
    own = f"{name}/{os.urandom(8).hex()}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(f"\0{own}")
        listener.listen(_MANY)
    except OSError as error:
        listener.close()
        raise RefusedError(f"no lock in this network namespace: {error.strerror}; chaoskit doctor") from error
    return listener, own


def _holders(name: str, besides: str = "") -> Iterator[Holder]:
    """Everybody who listens on a name of the lock's."""
    names = {}
    for line in Path(_LISTED).read_bytes().splitlines():
        columns = line.split(None, 7)
        if len(columns) == 8 and columns[3] == _LISTENS and columns[7].startswith(f"@{name}/".encode()):
            names[columns[7][1:]] = columns[6].decode()
    names.pop(besides.encode(), None)
    for each, inode in sorted(names.items()):
        found = _peer(each, inode)
        if found is not None:
            yield found


def _peer(name: bytes, inode: str) -> Holder | None:
    """Who listens on this abstract name, with a socket of this inode; None when nobody does any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as caller:
        caller.setblocking(False)
        try:
            caller.connect(b"\0" + name)
        except BlockingIOError:  # very many have asked before
            return _owner(inode)
        except OSError:
            return None
        pid, uid, _ = struct.unpack("iII", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return Holder(pid, uid)


def _owner(inode: str) -> Holder:
    """Who has this socket open, by effective user, as far as this process may look."""
    link = f"socket:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(os.readlink(fd) == link for fd in (process / "fd").iterdir()):  # noqa: PTH115  as text
                status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
                return Holder(int(process.name), int(status["Uid"].split()[1]))
    return Holder()
