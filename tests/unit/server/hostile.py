"""Hostile clients: raw bytes and HTTP/2 frames."""

import contextlib
import socket
from collections.abc import Callable
from typing import Any

from hpack import Decoder, Encoder
from serving import SCRIPT as SCRIPT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GOOD = b"GET /sse?tokens=2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def everything(sock: socket.socket) -> bytes:
    """All bytes until the server closes."""
    received = b""
    while piece := sock.recv(65536):
        received += piece
    return received


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """An HTTP/2 frame, with a wrong length if given."""
    size = len(payload) if length is None else length
    return size.to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def settings(**values: int) -> bytes:
    """SETTINGS: `table`, `push`, `streams`, `window`, `size`, `headers`."""
    names = ("table", "push", "streams", "window", "size", "headers")
    return frame(4, 0, 0, b"".join((names.index(k) + 1).to_bytes(2) + v.to_bytes(4) for k, v in values.items()))


def request(stream: int, path: str = "/sse?tokens=2", end: bool = True, method: str = "GET") -> bytes:
    """HEADERS, without a dynamic table."""
    fields = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)]
    block = Encoder().encode([(name, value, True) for name, value in fields])
    return frame(1, 5 if end else 4, stream, block)


class Http2Client:
    """An HTTP/2 client without checks that sends given frames."""

    def __init__(self, sock: socket.socket, window: int = 65535) -> None:
        self.sock = sock
        self.bodies: dict[int, bytes] = {}
        self.status: dict[int, list[str]] = {}
        self.reset: dict[int, int] = {}
        self.ended: set[int] = set()
        self.goaway: int | None = None
        self.goaways: list[int] = []  # the last stream of each
        self.seen: set[int] = set()  # the streams of all frames
        self._decoder = Decoder()
        self._decoder.max_allowed_table_size = 2**32
        self._rest = b""
        self._next = 1
        sock.sendall(PREFACE + settings(window=window) + frame(8, 0, 0, (2**30).to_bytes(4)))

    def ask(self, path: str, method: str = "GET", end: bool = True, body: bytes = b"") -> int:
        """A request; its stream."""
        number = self._next
        self._next += 2
        self.sock.sendall(request(number, path, end and not body, method))
        if body:
            self.send_data(number, body, end)
        return number

    def send_data(self, number: int, data: bytes, end: bool = False) -> None:
        """DATA."""
        self.sock.sendall(frame(0, int(end), number, data))

    def open_window(self, window: int) -> None:
        """For all streams."""
        self.sock.sendall(settings(window=window))

    def give_room(self, number: int, size: int) -> None:
        """For one."""
        self.sock.sendall(frame(8, 0, number, size.to_bytes(4)))

    def ping(self) -> bool:
        """Whether it could be sent and something came."""
        try:
            self.sock.sendall(frame(6, 0, 0, b"12345678"))
            return self.read_some()
        except ConnectionError:
            return False

    def table_size(self) -> int:
        """Of the header table that the server makes us keep, bytes."""
        return int(self._decoder.header_table._current_size)

    def read_some(self) -> bool:
        """Take in what comes; False at the end."""
        data = self.sock.recv(65536)
        self._rest += data
        while len(self._rest) >= 9 and len(self._rest) >= 9 + (size := int.from_bytes(self._rest[:3])):
            kind, flags, stream = self._rest[3], self._rest[4], int.from_bytes(self._rest[5:9])
            self._take(kind, flags, stream, self._rest[9 : 9 + size])
            self._rest = self._rest[9 + size :]
        return bool(data)

    def read_until(self, condition: Callable[[], bool]) -> None:
        """Take in what comes until it holds."""
        while not condition():
            assert self.read_some(), "the server closed"

    def read_to_end(self) -> None:
        """All of it, however it ends."""
        with contextlib.suppress(ConnectionError):
            while self.read_some():
                pass

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.seen.add(stream)
        if kind == 0:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
        elif kind == 1:
            fields: dict[Any, Any] = dict(self._decoder.decode(payload))
            self.status.setdefault(stream, []).append(str(fields[":status"]))
        elif kind == 3:
            self.reset[stream] = int.from_bytes(payload)
        elif kind == 7:
            self.goaway = int.from_bytes(payload[4:8])
            self.goaways.append(int.from_bytes(payload[:4]))
        if kind in (0, 1) and flags & 1:
            self.ended.add(stream)
