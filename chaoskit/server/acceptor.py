"""Accepts connections from a listener, up to a limit, and survives errors of accept(2).

Rules: connections above the limit wait in the kernel's accept queue; an error of accept(2) (no descriptors or memory
left, a client that has gone) neither spins nor ends the server: `resume` tries again when a connection has closed or
some time has passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Callable, Sized

_BACKLOG = 1024  # connections in the accept queue
_ACCEPT_BATCH = 64  # connections accepted before other tasks run


class Acceptor:
    """Accepts on a listener, from `resume` until `close`, which closes the listener."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        connections: Sized,
        max_connections: int,
        tls: tuple[ssl.SSLContext, float, float] | None,
    ) -> None:
        """`max_connections` counts those in `connections` and those in their handshake. `tls`: context, handshake
        timeout and shutdown timeout in seconds."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._connections = connections
        self._max_connections = max_connections
        self._tls = tls
        self._handshaking: set[asyncio.Task[None]] = set()
        self._is_paused = True
        self._closed = False
        listener.listen(_BACKLOG)
        listener.setblocking(False)

    def resume(self) -> None:
        """Accept again after a pause."""
        if self._is_paused and not self._closed:
            self._is_paused = False
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Stop accepting, and drop connections in their handshake."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        if self._tls is not None:
            for task in self._handshaking:
                task.cancel()

    def _accept(self) -> None:
        for _ in range(_ACCEPT_BATCH):
            if len(self._connections) + len(self._handshaking) >= self._max_connections:
                self._pause()
                return
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM of a firewall, ...: accept(2)
                self._pause()
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection))
            self._handshaking.add(task)
            task.add_done_callback(functools.partial(self._handshake_done, connection))

    def _pause(self) -> None:
        self._is_paused = True
        self._loop.remove_reader(self._listener.fileno())

    def _handshake_done(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        self._handshaking.discard(task)
        if task.cancelled():  # perhaps before it started
            connection.close()
        self.resume()

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
