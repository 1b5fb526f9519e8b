"""Provides httpcore with sockets that stamp when their bytes arrived.

Rules: a socket is read as soon as it is readable, even when no task waits for its bytes, so that a stamp never depends
on how busy the reader is; one recvmsg is one `ReadStamp`; unread bytes are bounded, and `limit` bounds all bytes of a
response; a reader yields to the loop regularly; nothing here times out (the stream's `Deadline` cancels); TCP_INFO is
read before a socket is closed.

The kernel's stamp of a read is that of the newest segment in it. Where segments waited in the out-of-order queue behind
a lost or late one, the data was not yet readable at that time (observed: 60 ms too early at an RTT of 80 ms, because
`tcp_try_coalesce` in net/ipv4/tcp_input.c keeps the stamp of the segment that waited). So a read that may contain such
segments is stamped with the time of the read; a kernel stamp that is hardly older than that is used as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpcore

from chaoskit.clock import now
from chaoskit.probe import receive_stamps
from chaoskit.probe.framing import TooLargeError
from chaoskit.probe.http2_frames import FrameTracker
from chaoskit.probe.receive_stamps import ReadStamp, StampClock
from chaoskit.records import tcp_info

_READ = 64 * 1024  # bytes of one recvmsg
_MAX_UNREAD = 256 * 1024
_MAX_HANDSHAKE = 1 << 20  # bytes of TLS without application data; a certificate chain has some kB
_WINDOW_STEP = 32 * 1024  # bytes of one WINDOW_UPDATE
_WINDOW_UPDATE = bytes((0, 0, 4, 8, 0, 0, 0, 0, 0))  # the frame header, for the whole connection: RFC 9113, 6.9
_TCP_INFO_ENOUGH = 228  # bytes up to and including rcv_ooopack
_OUT_OF_ORDER = struct.Struct("=I")
_OUT_OF_ORDER_AT = 224
_SO_MEMINFO = 55  # asm-generic/socket.h; the first word counts received bytes in memory, in order or not
_FRESH_AGE = 50_000  # ns; younger kernel stamps are used as they are
_NO_READ = ReadStamp(0, 0, 0, 0)

T = TypeVar("T")


@dataclass
class ConnectTimings:
    """Durations of the steps of a connection, ns; None: not needed or not finished. `step` is the latest."""

    step: str = "name lookup"
    dns: int | None = None
    connect: int | None = None
    tls: int | None = None


class Connection(httpcore.AsyncNetworkStream):
    """One TCP connection. `last` is the stamp of the bytes that `read` returned last.

    `tcp_info_at_connect` is read right after the handshake, with its time. `eof_received`: the peer has closed its
    side. `frames` is set on HTTP/2. Bytes are bounded by `limit` on HTTP/1.1, by `frames` on HTTP/2.
    """

    def __init__(
        self, number: int, sock: socket.socket, clock: StampClock, timings: ConnectTimings, headers: int
    ) -> None:
        """`headers` bounds an HTTP/2 header block, in bytes."""
        self.number = number
        self.timings = timings
        self._headers = headers
        self._bytes_left: int | None = None
        self._excess = ""
        self._since_yield = 0  # bytes returned since the loop last ran
        self.tcp_info_at_connect = (now(), tcp_info.sample(sock))
        self.last = _NO_READ
        self.eof_received = False
        self.frames: FrameTracker | None = None
        self._writing = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._clock = clock
        self._last_info: tuple[int, dict[str, int]] | None = None
        self._unread: deque[tuple[ReadStamp, bytes]] = deque()
        self._unread_bytes = 0
        self._reads = 0
        self._latest = 0
        self._error: OSError | None = None
        self._is_finished = False  # the socket is not read any more
        self._waiter: asyncio.Future[None] | None = None
        self._out_of_order = 0
        self._may_wait_out_of_order = False  # segments may still wait in the out-of-order queue
        self._ssl: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._loop.add_reader(sock, self._receive)
        self._has_reader = True

    def info(self) -> tuple[int, dict[str, int]]:
        """The time and TCP_INFO: now, or when the connection was closed."""
        return self._last_info or (now(), tcp_info.sample(self._sock))

    def limit(self, size: int, excess: str) -> None:
        """Allow `size` more bytes; after them, `read` raises TooLargeError(excess)."""
        self._bytes_left, self._excess = size, excess

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The bytes of the next read, b"" at the end.

        Raises httpcore.ReadError from the cause, TooLargeError.
        """
        while True:
            most = max_bytes if self._bytes_left is None else min(max_bytes, self._bytes_left or 1)
            data = await (self._next(most) if self._ssl is None else self._read_tls(self._ssl, most))
            if self._bytes_left is not None and data:
                if not self._bytes_left:
                    raise TooLargeError(self._excess)
                self._bytes_left -= len(data)
            if self.frames is None or not data:
                return data
            output = self.frames.feed(data, self.last)
            if self.frames.excess:
                raise TooLargeError(self.frames.excess)
            if self.frames.to_acknowledge > _WINDOW_STEP:
                await self._update_window(self.frames)
            if output:
                return output

    async def _update_window(self, frames: FrameTracker) -> None:
        """Return the bytes of discarded frames to the connection's window, by a WINDOW_UPDATE."""
        size, frames.to_acknowledge = frames.to_acknowledge, 0
        with contextlib.suppress(httpcore.WriteError):  # the next write or read reports it
            await self.write(_WINDOW_UPDATE + size.to_bytes(4, "big"))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it, after earlier writes. Raises httpcore.WriteError from the cause."""
        async with self._writing:
            try:
                if self._ssl is not None:
                    if buffer:
                        self._ssl.write(buffer)
                    buffer = self._outgoing.read()
                if buffer:
                    await self._loop.sock_sendall(self._sock, buffer)
            except OSError as error:
                raise httpcore.WriteError from error

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Do the TLS handshake. Raises httpcore.ConnectError from the cause."""
        started, size = now(), 0
        self.timings.step = "TLS handshake"
        self._ssl = ssl_context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        try:
            while True:
                try:
                    self._tls_step(self._ssl.do_handshake)
                    break
                except ssl.SSLWantReadError:
                    await self.write(b"")
                    data = await self._next()
                    size += len(data)
                    if size > _MAX_HANDSHAKE:
                        raise TooLargeError(f"a TLS handshake of more than {_MAX_HANDSHAKE} bytes") from None
                    self._feed_tls(data)
            await self.write(b"")
        except (ssl.SSLError, httpcore.ReadError, httpcore.WriteError, TooLargeError) as error:
            with contextlib.suppress(httpcore.WriteError):
                await self.write(b"")  # the TLS alert
            await self.aclose()
            raise httpcore.ConnectError from error
        except asyncio.CancelledError:
            await self.aclose()
            raise
        self.timings.tls = now() - started
        if self._ssl.selected_alpn_protocol() == "h2":
            self.start_http2()
        return self

    def start_http2(self) -> None:
        """Track HTTP/2 frames from now on."""
        self.frames = FrameTracker(self._headers)

    async def aclose(self) -> None:
        """Close it at once; a second call does nothing."""
        self._last_info = self.info()
        self._is_finished = True
        self._set_reader(False)
        self._wake()
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """`ssl_object`, `socket` or `is_readable`, which httpcore uses."""
        match info:
            case "ssl_object":
                return self._ssl
            case "socket":
                return self._sock
            case "is_readable":
                return bool(self._unread) or self._is_finished
        return None

    def _receive(self) -> None:
        """Read the socket, which is readable."""
        try:
            data, ancillary, _, _ = self._sock.recvmsg(_READ, receive_stamps.ANCILLARY_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._error = error
            data, ancillary = b"", []
        read_at = now()
        at = self._clock.read(ancillary)
        if at is None or (read_at - at > _FRESH_AGE and self._held_out_of_order()):
            at = read_at
        self._latest = at = max(self._latest, min(at, read_at))  # the clock may have been set
        self._reads += 1
        self._unread.append((ReadStamp(self._reads, at, read_at, len(data)), data))
        self._unread_bytes += len(data)
        if not data:
            self._is_finished = True
        if self._is_finished or self._unread_bytes > _MAX_UNREAD:
            self._set_reader(False)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _held_out_of_order(self) -> bool:
        """Whether this read may contain segments from the out-of-order queue."""
        try:
            raw = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_ENOUGH)
            if len(raw) < _TCP_INFO_ENOUGH:
                return False
            (count,) = _OUT_OF_ORDER.unpack_from(raw, _OUT_OF_ORDER_AT)
            if count == self._out_of_order and not self._may_wait_out_of_order:
                return False
            self._out_of_order = count
            self._may_wait_out_of_order = any(self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4))
        except OSError:
            return False
        return True

    async def _next(self, size: int = _READ) -> bytes:
        """The bytes of the next read, at most `size`; the rest stays queued."""
        if self._since_yield > _READ:
            self._since_yield = 0
            await asyncio.sleep(0)
        while not self._unread:
            self._since_yield = 0
            if self._is_finished:
                return b""
            self._set_reader(True)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        arrival, data = self._unread.popleft()
        if len(data) > size:
            self._unread.appendleft((arrival, data[size:]))
            data = data[:size]
        self._unread_bytes -= len(data)
        self._since_yield += len(data)
        if data:
            self.last = arrival
        elif self._error is not None:
            try:  # in a handler: httpcore re-raises `from None`, which leaves only the context
                raise self._error
            except OSError as error:
                raise httpcore.ReadError from error
        else:
            self.eof_received = True
        return data

    async def _read_tls(self, tls: ssl.SSLObject, max_bytes: int) -> bytes:
        without_data = 0
        while True:
            try:
                return self._tls_step(lambda: tls.read(max_bytes))
            except ssl.SSLWantReadError:
                data = await self._next()
                without_data += len(data)
                if without_data > _MAX_HANDSHAKE:
                    raise TooLargeError(f"more than {_MAX_HANDSHAKE} bytes of TLS without data") from None
                self._feed_tls(data)
            except ssl.SSLZeroReturnError:
                self.eof_received = True
                return b""
            except ssl.SSLError as error:
                raise httpcore.ReadError from error

    def _tls_step(self, operation: Callable[[], T]) -> T:
        """Do a TLS operation. Before Python 3.11.4, EOF without close_notify looked like EOF with it."""
        try:
            result = operation()
        except ssl.SSLZeroReturnError:
            if not self._incoming.eof:
                raise
        else:
            if result != b"" or not self._incoming.eof:
                return result
        raise ssl.SSLEOFError("closed without close_notify")

    def _feed_tls(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _set_reader(self, enable: bool) -> None:
        if enable != self._has_reader:
            self._has_reader = enable
            if enable:
                self._loop.add_reader(self._sock, self._receive)
            else:
                self._loop.remove_reader(self._sock)
