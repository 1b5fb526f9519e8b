"""Takes connections from a listener: so many at once, and without a word when the kernel refuses one.

Rules: what may not come in waits in the kernel's queue; a refusal of accept(2) (no descriptor or memory left,
a client that has gone) neither spins nor ends the server: the next try is `go_on`'s, when a connection has gone
or some time has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Callable, Sized

_BACKLOG = 1024  # connections that may wait in the kernel
_AT_ONCE = 64  # connections accepted before the others' turn


class Acceptor:
    """A listener at work, from `go_on` to `close`, which closes it."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        opened: Sized,
        most: int,
        tls: tuple[ssl.SSLContext, float, float] | None,
    ) -> None:
        """At most `most` connections, those in `opened` and those that are being made; `tls`, and seconds for its
        handshake and for its end."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._opened = opened
        self._most = most
        self._tls = tls
        self._beginning: set[asyncio.Task[None]] = set()
        self._waits = True
        self._closed = False
        listener.listen(_BACKLOG)
        listener.setblocking(False)

    def go_on(self) -> None:
        """Accept again, if it had been given up for a while."""
        if self._waits and not self._closed:
            self._waits = False
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more, and drop those whose handshake is not over."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        if self._tls is not None:
            for task in self._beginning:
                task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if len(self._opened) + len(self._beginning) >= self._most:
                self._wait()
                return
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM of a firewall, ...: accept(2)
                self._wait()
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection))
            self._beginning.add(task)
            task.add_done_callback(functools.partial(self._begun, connection))

    def _wait(self) -> None:
        self._waits = True
        self._loop.remove_reader(self._listener.fileno())

    def _begun(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        self._beginning.discard(task)
        if task.cancelled():  # perhaps before it began
            connection.close()
        self.go_on()

    async def _begin(self, connection: socket.socket) -> None:
        context, handshake, shutdown = self._tls or (None, None, None)
        with contextlib.suppress(OSError):  # a handshake that failed, also ssl.SSLError and TimeoutError
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=handshake,
                ssl_shutdown_timeout=shutdown,
            )
