"""Finds out when the program of a host is ready, by looking at it from outside.

In virtual time a wait costs nothing, and time passes only while every process waits: what a program computes before it
is ready takes none of the time that it has.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from chaoskit.conduct.hosts.program import Sign
from chaoskit.kernel import namespaces
from chaoskit.kernel.tcp_table import TcpSocket, tcp_sockets
from chaoskit.telemetry.endpoint import DEFAULT_LISTEN, address
from chaoskit.units import Duration

_TRY = 2 * 10**9  # ns for the answer to one GET
_MOST_HEAD = 1024  # bytes of an answer that are read: its first line is in them
_CHUNK = 1 << 20
_RECEIVER = address(DEFAULT_LISTEN)  # of chaoskit's own receiver of spans
_LONE = 5 * 10**9  # ns that a program may listen for itself alone, before that is taken for its mistake


class Watch:
    """Looks for one sign of one host, whose network namespace is behind a descriptor."""

    def __init__(self, sign: Sign, network: int, log: Path, begin: int) -> None:
        self._sign, self._network, self._log = sign, network, log
        self._deadline = begin + sign.within
        self._begin = begin
        self._get: _Get | None = None
        self._read = log.stat().st_size if sign.kind == "output" and log.exists() else 0
        self._rest = b""

    def is_ready(self, now: int) -> bool:
        """Whether the sign is there."""
        match self._sign.kind:
            case "listens":
                return any(map(_is_reachable, self._listening()))
            case "tcp":
                return any(
                    _is_reachable(each) for each in self._listening() if str(each.local_port) == self._sign.value
                )
            case "http":
                return self._answers(now)
            case "output":
                return self._has_printed()

    def obstacle(self, now: int) -> str:
        """Why it will not become ready, after `the host NAME `; "" while it may."""
        alone = self._alone() if now >= min(self._begin + _LONE, self._deadline) else ""
        if alone:
            return alone
        if now < self._deadline:
            return ""
        found = self._ports()
        return f"was not ready within {Duration(self._sign.within).spaced()}: it is ready when it {self._sign}" + found

    def close(self) -> None:
        """Close what it has open."""
        if self._get is not None:
            self._get.close()

    def _listening(self) -> list[TcpSocket]:
        return _listening(self._network)

    def _alone(self) -> str:
        """That it listens where no other host reaches it."""
        if self._sign.kind == "output":
            return ""
        return listens_for_itself(self._network, self._sign.value.strip(":").partition("/")[0])

    def _ports(self) -> str:
        """What it listens on, for the end of a sentence."""
        if self._sign.kind == "output":
            return ""
        ports = sorted({each.local_port for each in self._listening() if _is_reachable(each)})
        return f"; it listens on {', '.join(map(str, ports))}" if ports else "; it does not listen at all"

    def _answers(self, now: int) -> bool:
        port, _, path = self._sign.value.removeprefix(":").partition("/")
        if self._get is None:
            places = [each.local for each in self._listening() if str(each.local_port) == port and _is_reachable(each)]
            if not places:
                return False
            self._get = _Get(self._network, places[0], int(port), f"/{path}", now + _TRY)
        status = self._get.step(now)
        if status is None:
            return False
        self._get.close()
        self._get = None
        return 200 <= status < 400

    def _has_printed(self) -> bool:
        wanted = self._sign.value.encode()
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(self._read)
            while data := log.read(_CHUNK):
                self._read += len(data)
                self._rest += data
                if wanted in self._rest:
                    return True
                self._rest = self._rest[-len(wanted) :]
        return False


class _Get:
    """One GET, without waiting: `step` goes on with it."""

    def __init__(self, network: int, place: str, port: int, path: str, deadline: int) -> None:
        family = socket.AF_INET6 if ":" in place else socket.AF_INET
        with namespaces.inside(network):
            self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place, place)
        self._to, self._deadline = (own, port), deadline
        shown = f"[{own}]" if ":" in own else own
        self._request = f"GET {path} HTTP/1.1\r\nHost: {shown}:{port}\r\nConnection: close\r\n\r\n".encode()
        self._head = b""

    def step(self, now: int) -> int | None:
        """The status; 0 when there is none; None while it is awaited."""
        code = self._socket.connect_ex(self._to)
        if code in (errno.EINPROGRESS, errno.EALREADY):
            return 0 if now >= self._deadline else None
        if code not in (0, errno.EISCONN):
            return 0
        try:
            if self._request:
                self._request = self._request[self._socket.send(self._request) :]
            while b"\r\n" not in self._head and len(self._head) < _MOST_HEAD:
                data = self._socket.recv(_MOST_HEAD)
                if not data:
                    return 0
                self._head += data
        except BlockingIOError:
            return 0 if now >= self._deadline else None
        except OSError:
            return 0
        words = self._head.split(b"\r\n")[0].split()
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0

    def close(self) -> None:
        self._socket.close()


def listens_for_itself(network: int, port: str = "") -> str:
    """That a host listens on this port (empty: at all), but where no other host reaches it; "" otherwise."""
    sockets = [each for each in _listening(network) if port in ("", str(each.local_port))]
    if not sockets or any(map(_is_reachable, sockets)):
        return ""
    first = sockets[0]
    shown = f"[{first.local}]" if ":" in first.local else first.local
    return f"listens on {shown}:{first.local_port} only, so no other host reaches it; bind 0.0.0.0"


def _listening(network: int) -> list[TcpSocket]:
    with namespaces.inside(network):
        found = [each for each in tcp_sockets() if not each.is_connected]
    return [each for each in found if (each.local, each.local_port) != _RECEIVER]


def _is_reachable(listening: TcpSocket) -> bool:
    return not ip_address(listening.local).is_loopback
