"""Sockets for httpcore that know when their bytes arrived.

Rules: a socket is read as soon as the loop says that it can be, whoever waits for the bytes, so that a stamp
never depends on how busy their reader is; one recvmsg is one `Arrival`; unread bytes are bounded, and those that
may be read at all are what `allow` says; no reader keeps the loop to itself; nothing here times out (the stream's
`Guard` does, by cancelling); TCP_INFO is read before a socket is closed.

The kernel's stamp of a read is that of the newest segment in it. Where segments had been waiting behind a lost
or late one, that is a time at which nobody could have read them (seen: 60 ms too early at an RTT of 80 ms, as
`tcp_try_coalesce` in net/ipv4/tcp_input.c keeps the stamp of the segment that waited). So a read that may hold
such segments is stamped by our own clock; but a stamp that is hardly older than ours cannot be far from the truth.
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
from chaoskit.probe.http2_frames import Tap
from chaoskit.probe.receive_stamps import Arrival, StampClock
from chaoskit.records import tcp_info

_READ = 64 * 1024  # bytes of one recvmsg
_MOST_UNREAD = 256 * 1024
_MOST_HANDSHAKE = 1 << 20  # bytes of TLS without a byte inside: a chain of certificates is some kB
_GIVE_BACK = 32 * 1024  # bytes of HTTP/2's window that are given back at a time
_WINDOW_UPDATE = bytes((0, 0, 4, 8, 0, 0, 0, 0, 0))  # the header of one for the whole connection: RFC 9113, 6.9
_TCP_INFO_ENOUGH = 228  # bytes up to and with rcv_ooopack
_OUT_OF_ORDER = struct.Struct("=I")
_OUT_OF_ORDER_AT = 224
_SO_MEMINFO = 55  # asm-generic/socket.h; its first word is what is kept for reading, out of order or not
_FRESH = 50_000  # ns; younger stamps are taken as they are
_NOTHING_YET = Arrival(0, 0, 0, 0)

T = TypeVar("T")


@dataclass
class Took:
    """How long the steps to a connection took, ns; None: not taken, or not ended. `step` is the latest."""

    step: str = "name lookup"
    name: int | None = None
    connect: int | None = None
    tls: int | None = None


class Connection(httpcore.AsyncNetworkStream):
    """One TCP connection. `last` is the read that the bytes last handed out came with.

    `met` is TCP_INFO right after the handshake, `ended` whether the other side's end has been read, `tap` there
    on HTTP/2. Bytes are bounded on HTTP/1.1 by `allow`, on HTTP/2 by `tap`.
    """

    def __init__(self, number: int, sock: socket.socket, clock: StampClock, took: Took, headers: int) -> None:
        """`headers` bounds a block of headers of HTTP/2, in bytes."""
        self.number = number
        self.took = took
        self._headers = headers
        self._allowed: int | None = None
        self._excess = ""
        self._at_a_stretch = 0  # bytes handed out since the loop had its turn
        self.met = (now(), tcp_info.sample(sock))
        self.last = _NOTHING_YET
        self.ended = False
        self.tap: Tap | None = None
        self._writing = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._clock = clock
        self._parting: tuple[int, dict[str, int]] | None = None
        self._unread: deque[tuple[Arrival, bytes]] = deque()
        self._unread_bytes = 0
        self._reads = 0
        self._latest = 0
        self._error: OSError | None = None
        self._is_over = False  # nothing more will be read from the socket
        self._waiter: asyncio.Future[None] | None = None
        self._out_of_order = 0
        self._some_wait = False  # segments that came out of order may still wait in the kernel
        self._tls: ssl.SSLObject | None = None
        self._from_net, self._to_net = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._loop.add_reader(sock, self._receive)
        self._is_watched = True

    def info(self) -> tuple[int, dict[str, int]]:
        """TCP_INFO now, or as it was when the connection was closed; with the time."""
        return self._parting or (now(), tcp_info.sample(self._sock))

    def allow(self, size: int, excess: str) -> None:
        """From now on at most `size` bytes may come; with the next one, `read` raises TooLargeError(excess)."""
        self._allowed, self._excess = size, excess

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The bytes of the next read, "" at the end.

        Raises httpcore.ReadError from what went wrong, TooLargeError.
        """
        while True:
            most = max_bytes if self._allowed is None else min(max_bytes, self._allowed or 1)
            data = await (self._next(most) if self._tls is None else self._decrypted(self._tls, most))
            if self._allowed is not None and data:
                if not self._allowed:
                    raise TooLargeError(self._excess)
                self._allowed -= len(data)
            if self.tap is None or not data:
                return data
            passed = self.tap.feed(data, self.last)
            if self.tap.excess:
                raise TooLargeError(self.tap.excess)
            if self.tap.to_give_back > _GIVE_BACK:
                await self._give_back(self.tap)
            if passed:
                return passed

    async def _give_back(self, tap: Tap) -> None:
        """Tell the far side by a WINDOW_UPDATE of the connection that it may send these bytes again."""
        size, tap.to_give_back = tap.to_give_back, 0
        with contextlib.suppress(httpcore.WriteError):  # the next write, or read, will say so
            await self.write(_WINDOW_UPDATE + size.to_bytes(4, "big"))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it, after what is being sent. Raises httpcore.WriteError from what went wrong."""
        async with self._writing:
            try:
                if self._tls is not None:
                    if buffer:
                        self._tls.write(buffer)
                    buffer = self._to_net.read()
                if buffer:
                    await self._loop.sock_sendall(self._sock, buffer)
            except OSError as error:
                raise httpcore.WriteError from error

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Shake hands. Raises httpcore.ConnectError from what went wrong."""
        began, size = now(), 0
        self.took.step = "TLS handshake"
        self._tls = ssl_context.wrap_bio(self._from_net, self._to_net, server_hostname=server_hostname)
        try:
            while True:
                try:
                    self._honest(self._tls.do_handshake)
                    break
                except ssl.SSLWantReadError:
                    await self.write(b"")
                    data = await self._next()
                    size += len(data)
                    if size > _MOST_HANDSHAKE:
                        raise TooLargeError(f"a TLS handshake of more than {_MOST_HANDSHAKE} bytes") from None
                    self._from_net_take(data)
            await self.write(b"")
        except (ssl.SSLError, httpcore.ReadError, httpcore.WriteError, TooLargeError) as error:
            with contextlib.suppress(httpcore.WriteError):
                await self.write(b"")  # the alert
            await self.aclose()
            raise httpcore.ConnectError from error
        except asyncio.CancelledError:
            await self.aclose()
            raise
        self.took.tls = now() - began
        if self._tls.selected_alpn_protocol() == "h2":
            self.speak_http2()
        return self

    def speak_http2(self) -> None:
        """What comes from now on are HTTP/2's frames."""
        self.tap = Tap(self._headers)

    async def aclose(self) -> None:
        """Close it, at once; the second time nothing happens."""
        self._parting = self.info()
        self._is_over = True
        self._watch(False)
        self._wake()
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks for: `ssl_object`, `socket`, `is_readable`."""
        match info:
            case "ssl_object":
                return self._tls
            case "socket":
                return self._sock
            case "is_readable":
                return bool(self._unread) or self._is_over
        return None

    def _receive(self) -> None:
        """The loop says that the socket can be read."""
        try:
            data, ancillary, _, _ = self._sock.recvmsg(_READ, receive_stamps.SPACE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._error = error
            data, ancillary = b"", []
        user = now()
        at = self._clock.read(ancillary)
        if at is None or (user - at > _FRESH and self._waited_out_of_order()):
            at = user
        self._latest = at = max(self._latest, min(at, user))  # a clock may have been set
        self._reads += 1
        self._unread.append((Arrival(self._reads, at, user, len(data)), data))
        self._unread_bytes += len(data)
        if not data:
            self._is_over = True
        if self._is_over or self._unread_bytes > _MOST_UNREAD:
            self._watch(False)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _waited_out_of_order(self) -> bool:
        """Whether this read may hold segments that had to wait for an earlier one."""
        try:
            raw = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_ENOUGH)
            if len(raw) < _TCP_INFO_ENOUGH:
                return False
            (count,) = _OUT_OF_ORDER.unpack_from(raw, _OUT_OF_ORDER_AT)
            if count == self._out_of_order and not self._some_wait:
                return False
            self._out_of_order = count
            self._some_wait = any(self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4))
        except OSError:
            return False
        return True

    async def _next(self, most: int = _READ) -> bytes:
        """The next read's bytes, as they came, or the first ones of them."""
        if self._at_a_stretch > _READ:
            self._at_a_stretch = 0
            await asyncio.sleep(0)
        while not self._unread:
            self._at_a_stretch = 0
            if self._is_over:
                return b""
            self._watch(True)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        arrival, data = self._unread.popleft()
        if len(data) > most:
            self._unread.appendleft((arrival, data[most:]))
            data = data[:most]
        self._unread_bytes -= len(data)
        self._at_a_stretch += len(data)
        if data:
            self.last = arrival
        elif self._error is not None:
            try:  # while it is handled: httpcore raises again `from None`, which leaves only the context
                raise self._error
            except OSError as error:
                raise httpcore.ReadError from error
        else:
            self.ended = True
        return data

    async def _decrypted(self, tls: ssl.SSLObject, max_bytes: int) -> bytes:
        in_vain = 0
        while True:
            try:
                return self._honest(lambda: tls.read(max_bytes))
            except ssl.SSLWantReadError:
                data = await self._next()
                in_vain += len(data)
                if in_vain > _MOST_HANDSHAKE:
                    raise TooLargeError(f"more than {_MOST_HANDSHAKE} bytes of TLS without data") from None
                self._from_net_take(data)
            except ssl.SSLZeroReturnError:
                self.ended = True
                return b""
            except ssl.SSLError as error:
                raise httpcore.ReadError from error

    def _honest(self, step: Callable[[], T]) -> T:
        """Do a step of TLS. Before Python 3.11.4 an end without a goodbye looked like one with it."""
        try:
            done = step()
        except ssl.SSLZeroReturnError:
            if not self._from_net.eof:
                raise
        else:
            if done != b"" or not self._from_net.eof:
                return done
        raise ssl.SSLEOFError("closed without close_notify")

    def _from_net_take(self, data: bytes) -> None:
        if data:
            self._from_net.write(data)
        else:
            self._from_net.write_eof()

    def _watch(self, wanted: bool) -> None:
        if wanted != self._is_watched:
            self._is_watched = wanted
            if wanted:
                self._loop.add_reader(self._sock, self._receive)
            else:
                self._loop.remove_reader(self._sock)
