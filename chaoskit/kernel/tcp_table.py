"""Reads the TCP sockets of the calling thread's network namespace, see proc_net(5). Changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from pathlib import Path

_TABLES = ("/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6")
_MOST = 400_000  # lines of each, which have 150 bytes
_STATES = {"01": True, "0A": False}  # net/tcp_states.h: established, listening
_WORD = 8  # hexadecimal digits


@dataclass(frozen=True)
class TcpSocket:
    """A socket that is connected, or that listens (then without a remote address)."""

    local: str
    local_port: int
    remote: str
    remote_port: int
    inode: int
    is_connected: bool


def tcp_sockets() -> Iterator[TcpSocket]:
    """All that are connected or listen. Addresses in canonical form, IPv4 also where the socket is one of IPv6."""
    for table in _TABLES:
        try:
            with Path(table).open() as file:
                lines = list(islice(file, 1, _MOST))  # one read of all would map and unmap as much memory as may come
        except OSError:  # a kernel without IPv6
            continue
        for line in lines:
            columns = line.split()
            if len(columns) > 9 and columns[3] in _STATES:
                (local, local_port), (remote, remote_port) = _end(columns[1]), _end(columns[2])
                yield TcpSocket(local, local_port, remote, remote_port, int(columns[9]), _STATES[columns[3]])


def _end(written: str) -> tuple[str, int]:
    """Address and port of `0100007F:1F90`, whose 32-bit words are in the machine's byte order."""
    address, _, port = written.partition(":")
    words = (address[at : at + _WORD] for at in range(0, len(address), _WORD))
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    if len(packed) == len(IPv4Address(0).packed):
        return str(IPv4Address(packed)), int(port, 16)
    six = IPv6Address(packed)
    return str(six.ipv4_mapped or six), int(port, 16)
