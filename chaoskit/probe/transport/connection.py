"""Reads and writes one TCP connection, with TLS if wanted; every read has the stamp of its arrival.

Rules: a socket is read as soon as it is readable, whatever is still being processed, so that a stamp never depends on
how busy the probe is; one recvmsg is one `ReadStamp`; nothing is kept unread, because what was read is processed in the
loop's next turn; nothing here times out (the stream's `Deadline` cancels); TCP_INFO is read before a socket is closed.

The kernel's stamp of a read is that of the newest segment in it. Where segments waited in the out-of-order queue behind
a lost or late one, the data was not yet readable at that time (observed: 60 ms too early at an RTT of 80 ms, because
`tcp_try_coalesce` in net/ipv4/tcp_input.c keeps the stamp of the segment that waited). So a read that may contain such
segments is stamped with the time of the read; a kernel stamp that is hardly older than that is used as it is.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chaoskit.clock import now
from chaoskit.probe.framing import TooLargeError
from chaoskit.probe.transport import stamps
from chaoskit.probe.transport.event_loop import polls_of
from chaoskit.probe.transport.stamps import ReadStamp, StampClock
from chaoskit.probe.transport.tls import TlsState
from chaoskit.records import tcp_info

_READ = 64 * 1024  # bytes of one recvmsg
_MAX_POLLS = 4  # reads of one `poll`
_MAX_UNSENT = 1 << 20  # bytes of answers to a peer that does not read, beyond what a request has
_TCP_INFO_ENOUGH = 228  # bytes up to and including rcv_ooopack
_OUT_OF_ORDER = struct.Struct("=I")
_OUT_OF_ORDER_AT = 224
_SO_MEMINFO = 55  # asm-generic/socket.h; the first word counts received bytes in memory, in order or not
_NOTHING = bytes(4)  # the int that FIONREAD fills
_FRESH_AGE = 50_000  # ns; younger kernel stamps are used as they are


@dataclass
class ConnectTimings:
    """Durations of the steps of a connection, ns; None: not needed or not finished. `step` is the latest.

    `unreachable` are addresses that did not accept in time, while another one did.
    """

    step: str = "name lookup"
    dns: int | None = None
    connect: int | None = None
    tls: int | None = None
    unreachable: tuple[str, ...] = ()


class Receiver(Protocol):
    """What a connection's bytes are for. It may close the connection, and raises nothing."""

    def receive(self, data: bytes, stamp: ReadStamp) -> None:
        """The bytes of one read; of those that TLS has decrypted after it."""

    def connection_ended(self, error: Exception | None) -> None:
        """Nothing more will come; None: the peer has closed its side."""


class Inbox:
    """What the sockets of one loop have received, until all that are readable have been read."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Connection, bytes, ReadStamp]] = []
        self.polls = polls_of(self._loop)
        self.buffers = [memoryview(bytearray(_READ))]  # of the read that is being done

    def add(self, connection: Connection, data: bytes, stamp: ReadStamp) -> None:
        """Process it in the loop's next turn."""
        if not self._waiting:
            self._loop.call_soon(self.process)
        self._waiting.append((connection, data, stamp))

    def process(self) -> None:
        """Process all of it now."""
        waiting, self._waiting = self._waiting, []
        for connection, data, stamp in waiting:
            connection.process(data, stamp)


class Connection:
    """One connection, which belongs to its `Receiver` once that is attached.

    `tcp_info_at_connect` is read right after the handshake, with its time; `port` is the client's. `has_ended`: nothing
    more will come; `eof_received`: because the peer has closed its side; `error`: because of this.
    """

    def __init__(self, number: int, sock: socket.socket, clock: StampClock, inbox: Inbox) -> None:
        self.number = number
        self.tcp_info_at_connect = (now(), _tcp_info(sock))
        self.port: int | None = sock.getsockname()[1] if sock.family != socket.AF_UNIX else None
        self.has_ended = False
        self.eof_received = False
        self._sock = sock
        self._clock = clock
        self._inbox = inbox
        self._loop = asyncio.get_running_loop()
        self._receiver: Receiver | None = None
        self._early: list[tuple[bytes, ReadStamp]] = []  # until there is a receiver
        self.error: Exception | None = None
        self._last_info: tuple[int, dict[str, int]] | None = None
        self._keeps_info_of_read = False
        self._info_of_read: tuple[int, tuple[int, dict[str, int]]] | None = None  # with the read's number
        self._reads = 0
        self._latest = 0
        self._out_of_order = 0
        self._may_wait_out_of_order = False  # segments may still wait in the out-of-order queue
        self._tls: TlsState | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._unsent = bytearray()
        self._when_sent: list[Callable[[], None]] = []
        self._is_reading = True
        self._is_closed = False
        self._fd = sock.fileno()  # the loop is slower with the socket itself
        self._loop.add_reader(self._fd, self._receive)

    @property
    def alpn(self) -> str | None:
        """The protocol that TLS has negotiated."""
        return None if self._tls is None else self._tls.alpn

    def fileno(self) -> int:
        """The socket's file descriptor, -1 when it is closed."""
        return self._sock.fileno()

    def info(self) -> tuple[int, dict[str, int]]:
        """The time and TCP_INFO: now, or when the connection was closed."""
        return self._last_info or (now(), _tcp_info(self._sock))

    def info_in_silence(self) -> tuple[int, dict[str, int]] | None:
        """The same with `rmem_alloc`, unless there is something to read. Keeps TCP_INFO of the next read, too."""
        self._keeps_info_of_read = True
        if self._is_closed or self._sock.family == socket.AF_UNIX:
            return self.info()
        if fcntl.ioctl(self._fd, termios.FIONREAD, _NOTHING) != _NOTHING:
            return None
        at, fields = self.info()
        return at, fields | {"rmem_alloc": self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO)}

    def info_of_read(self, stamp: ReadStamp) -> tuple[int, dict[str, int]]:
        """The time and TCP_INFO of this read where they were kept; else now."""
        kept = self._info_of_read
        return kept[1] if kept is not None and kept[0] == stamp.number else self.info()

    def attach(self, receiver: Receiver | None) -> None:
        """From now on all bytes are this receiver's, and those that have come before."""
        self._receiver = receiver
        if receiver is None:
            return
        early, self._early = self._early, []
        for data, stamp in early:
            receiver.receive(data, stamp)
        if self.has_ended:
            receiver.connection_ended(self.error)

    def give_back(self, data: bytes, stamp: ReadStamp) -> None:
        """The receiver that is being detached did not need these bytes."""
        self._early.append((data, stamp))

    def write(self, data: bytes, when_sent: Callable[[], None] | None = None) -> None:
        """Send it after what was written before, in one segment if it fits; then call `when_sent`.

        Never raises: a connection that cannot be written to any more ends where it is read.
        """
        if self._is_closed:
            return
        if self._tls is not None:
            data = self._tls.encrypt(data)
        if not self._unsent:
            data = data[self._send(data) :]
            if data:
                self._loop.add_writer(self._fd, self._send_rest)
        self._unsent += data
        if when_sent is not None and self._unsent:
            self._when_sent.append(when_sent)
        elif when_sent is not None:
            when_sent()

    @property
    def has_too_much_unsent(self) -> bool:
        """Whether the peer does not read what is sent to it."""
        return len(self._unsent) > _MAX_UNSENT

    def poll(self) -> None:
        """Read now what is there, or that the peer has closed: before a request, not after it."""
        self._inbox.process()
        for _ in range(_MAX_POLLS):
            before = self._reads
            if self._is_reading and not self._is_closed:
                self._receive()
            if self._reads == before:
                break
            self._inbox.process()

    def stop_reading(self) -> None:
        """Leave what comes in the kernel."""
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._fd)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Do the TLS handshake. Raises OSError (ssl.SSLError is one), TooLargeError, MalformedError, EOFError."""
        self._tls = TlsState(context, host)
        self._handshake = self._loop.create_future()
        early, self._early = self._early, []
        for data, _ in early:
            self._tls.feed(data)
        if self.has_ended:
            raise self.error or EOFError
        self._continue_handshake()
        await self._handshake
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Close it at once; a second call does nothing."""
        if self._is_closed:
            return
        self._last_info = self.info()
        self.stop_reading()
        if self._unsent:
            self._loop.remove_writer(self._fd)
        self._is_closed = self.has_ended = True
        self._sock.close()

    def process(self, data: bytes, stamp: ReadStamp) -> None:
        """What one read has brought; b"": the end."""
        if self._is_closed or self.has_ended:
            return
        if self._tls is None or (not data and self.error is not None):
            self._deliver(data, stamp)
            return
        try:
            self._tls.feed(data)
            if self._handshake is not None and not self._handshake.done():
                self._continue_handshake()
            if self._tls.is_established:
                self._decrypt(self._tls, stamp)
                if self._tls.has_to_send and not self._is_closed:  # an answer to a change of keys
                    self._write_raw(self._tls.to_send())
        except (ssl.SSLError, TooLargeError) as error:
            self._end(error)

    def _decrypt(self, tls: TlsState, stamp: ReadStamp) -> None:
        if plain := tls.decrypt():
            self._deliver(plain, stamp)
        if tls.has_ended:
            self._deliver(b"", stamp)
        elif tls.error is not None:
            self._end(tls.error)

    def _deliver(self, data: bytes, stamp: ReadStamp) -> None:
        if not data:
            self.eof_received = self.error is None
            self._end(self.error)
        elif self._receiver is None:
            self._early.append((data, stamp))
        else:
            self._receiver.receive(data, stamp)

    def _end(self, error: Exception | None) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        self.error = error
        self.stop_reading()
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_result(None)
        if self._receiver is not None:
            self._receiver.connection_ended(error)

    def _continue_handshake(self) -> None:
        assert self._tls is not None
        assert self._handshake is not None
        try:
            self._tls.continue_handshake()
        except Exception as error:  # noqa: BLE001  raised again in `start_tls`
            self.error = error
        self._write_raw(self._tls.to_send())
        if (self._tls.is_established or self.error is not None) and not self._handshake.done():
            self._handshake.set_result(None)

    def _write_raw(self, data: bytes) -> None:
        """Write what TLS itself has to say."""
        tls, self._tls = self._tls, None
        self.write(data)
        self._tls = tls

    def _send(self, data: bytes | bytearray) -> int:
        """How many bytes the kernel has taken."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # the next read says so
            return len(data)

    def _send_rest(self) -> None:
        """The socket can take more."""
        del self._unsent[: self._send(self._unsent)]
        if not self._unsent:
            self._loop.remove_writer(self._fd)
            done, self._when_sent = self._when_sent, []
            for call in done:
                call()

    def _receive(self) -> None:
        """Read the socket, which is readable."""
        try:
            size, ancillary, _, _ = self._sock.recvmsg_into(self._inbox.buffers, stamps.ANCILLARY_SIZE)
            data = bytes(self._inbox.buffers[0][:size])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.error = error
            data, ancillary = b"", []
        read_at = now()
        at = self._clock.read(ancillary)
        if at is None or (read_at - at > _FRESH_AGE and self._held_out_of_order()):
            at = read_at
        self._latest = at = max(self._latest, min(at, read_at))  # the clock may have been set
        self._reads += 1
        if self._keeps_info_of_read:
            self._keeps_info_of_read = False
            self._info_of_read = self._reads, (read_at, _tcp_info(self._sock))
        if not data:
            self.stop_reading()
        looked_at = min(at, self._inbox.polls.before) or at
        self._inbox.add(self, data, ReadStamp(self._reads, at, read_at, looked_at, len(data)))

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


def _tcp_info(sock: socket.socket) -> dict[str, int]:
    """TCP_INFO; empty for a Unix socket."""
    return tcp_info.sample(sock) if sock.family != socket.AF_UNIX else {}
