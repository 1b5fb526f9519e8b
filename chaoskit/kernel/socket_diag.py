"""Dumps the TCP sockets of a network namespace with their TCP_INFO, see sock_diag(7). Changes nothing.

pyroute2 makes an object of every field of every socket, which takes a hundred times as long: a dump has thousands.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from chaoskit.errors import RefusedError
from chaoskit.records import tcp_info

_NETLINK_SOCK_DIAG = 4  # linux/netlink.h
_SOCK_DIAG_BY_FAMILY = 20  # linux/sock_diag.h
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_INFO = 2  # INET_DIAG_INFO of linux/inet_diag.h
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
_MESSAGE = struct.Struct("=BBBB2s2s16s16s")  # the beginning of struct inet_diag_msg
_MESSAGE_SIZE = 72
_ATTRIBUTE = struct.Struct("=HH")
_STATES = 0b1011_0011_0110  # of net/tcp_states.h: all that have data, so not those that listen, wait or are closed
_BLOCK = 1 << 16  # bytes of one read
_PATIENCE = 2.0  # s that the kernel may take for the next part; it answers at once
_ENOENT = -2


class DumpedSocket(NamedTuple):
    """A socket: both its ends, and its TCP_INFO. Addresses in canonical form, IPv4 also of a socket of IPv6."""

    local: str
    local_port: int
    remote: str
    remote_port: int
    fields: dict[str, int]


class SocketDiag:
    """A netlink socket in the namespace in which it was made. Raises RefusedError where the kernel has none."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise RefusedError(f"the sockets of hosts cannot be listed here: {error.strerror}") from error
        self._socket.settimeout(_PATIENCE)
        self._sequence = 0

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def sockets(self, most: int) -> tuple[list[DumpedSocket], int]:
        """The sockets that are connected, `most` of them at the most, and how many there are beyond."""
        found: list[DumpedSocket] = []
        beyond = 0
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in self._dump(family):
                if len(found) < most:
                    found.append(parse(message))
                else:
                    beyond += 1
        return found, beyond

    def _dump(self, family: int) -> Iterator[bytes]:
        self._sequence += 1
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _STATES)
        header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, self._sequence, 0)
        try:
            self._socket.send(header + request)
            while True:
                block = memoryview(self._socket.recv(_BLOCK))
                while len(block) >= _HEADER.size:
                    size, kind, _, sequence, _ = _HEADER.unpack_from(block)
                    if sequence == self._sequence and kind == _DONE:
                        return
                    if sequence == self._sequence and kind == _ERROR:
                        (code,) = struct.unpack_from("=i", block, _HEADER.size)
                        if code == _ENOENT:  # a kernel without this family
                            return
                        raise OSError(-code, "the kernel refuses to list sockets")
                    if sequence == self._sequence and kind == _SOCK_DIAG_BY_FAMILY:
                        yield bytes(block[_HEADER.size : size])
                    block = block[max(_HEADER.size, (size + 3) & ~3) :]
        except OSError as error:
            raise RefusedError(f"the sockets of hosts cannot be listed here: {error.strerror or error}") from error


def parse(message: bytes) -> DumpedSocket:
    """The socket of a `struct inet_diag_msg` with its attributes."""
    family, _, _, _, local_port, remote_port, local, remote = _MESSAGE.unpack_from(message)
    fields: dict[str, int] = {}
    at = _MESSAGE_SIZE
    while at + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _INFO:
            fields = tcp_info.parse(message[at + _ATTRIBUTE.size : at + size])
        at += max(_ATTRIBUTE.size, (size + 3) & ~3)
    return DumpedSocket(
        _address(family, local),
        int.from_bytes(local_port, "big"),
        _address(family, remote),
        int.from_bytes(remote_port, "big"),
        fields,
    )


def _address(family: int, packed: bytes) -> str:
    if family == socket.AF_INET:
        return str(IPv4Address(packed[:4]))
    six = IPv6Address(packed)
    return str(six.ipv4_mapped or six)
