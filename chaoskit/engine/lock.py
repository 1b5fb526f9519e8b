"""One chaoskit at a time in a network namespace.

The lock is an abstract unix socket, bound in the network namespace whose interfaces it is about: it has no file,
it is seen from every container that shares the namespace, and the kernel frees it when its last holder dies.
Who holds it is learned by connecting: the kernel then names the process that listens.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path

from chaoskit.engine.private import private
from chaoskit.errors import RefusedError

NAME = "chaoskit"
_MANY = 4096  # connections that may wait; nobody ever accepts one


class Lock:
    """The namespace's lock, held; a context manager."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = private(listener)

    @classmethod
    def take(cls, name: str = NAME) -> Lock:
        """Take it, in the network namespace of the calling thread.

        Raises RefusedError that names the holder and says what to type.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listener.bind(f"\0{name}")
            listener.listen(_MANY)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise RefusedError(
                    f"chaoskit is at work in this network namespace already, {told(holder(name))}: wait for it, or "
                    "see chaoskit status, or end it with chaoskit restore"
                ) from error
            raise RefusedError(f"no lock in this network namespace: {error.strerror}; chaoskit doctor") from error
        return cls(listener)

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


def is_taken(name: str = NAME) -> bool:
    """Whether anybody holds the lock of the calling thread's network namespace."""
    return _peer(name) is not None


def holder(name: str = NAME) -> int | None:
    """The process that holds it; None when nobody does, or nobody of this PID namespace."""
    return _peer(name) or None


def told(pid: int | None) -> str:
    """A process in words."""
    if pid is None:
        return "of another container"
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({words})" if words else f"process {pid}"


def _peer(name: str) -> int | None:
    """Its pid; 0 when it cannot be seen from here; None when nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as caller:
        caller.setblocking(False)
        try:
            caller.connect(f"\0{name}")
        except BlockingIOError:  # very many have asked before
            return 0
        except OSError:
            return None
        pid: int = struct.unpack("3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return pid
