"""Finds the ssh sessions into this machine. Changes nothing.

The kernel's table of TCP connections tells which sessions there are: those at a port on which an ssh server listens,
and those that an ssh server's process has open. SSH_CONNECTION alone would tell too little (a terminal multiplexer
outlives the session that it was started in, and other users have sessions) and can say anything; it tells which
session is the user's own, and is taken at its word where the table has no such connection. Sudo removes it from the
environment, so the environments of the ancestors are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from chaoskit.kernel.tcp_table import TcpSocket, tcp_sockets

_SERVERS = frozenset({"sshd", "sshd-session", "sshd-auth", "dropbear", "tinysshd"})  # as comm, see proc(5)
_SSH = 22
_MAX_ENVIRONMENT = 1 << 20  # bytes
_MAX_ANCESTORS = 1000


@dataclass(frozen=True)
class SshSession:
    """One connection: the client's address and port, ours, and whether this process runs in it."""

    peer: str
    peer_port: int
    local: str
    local_port: int
    is_own: bool = False


@dataclass(frozen=True)
class SshSessions:
    """All of them, the own ones first, and the ports at which new ones are accepted."""

    sessions: tuple[SshSession, ...] = ()
    ports: frozenset[int] = frozenset()


def ssh_sessions() -> SshSessions:
    """The ssh sessions in the calling thread's network namespace, and those that the environment names."""
    return combine(tuple(tcp_sockets()), server_inodes(), tuple(environment_sessions(_ancestors())))


def combine(table: Iterable[TcpSocket], servers: frozenset[int], own: tuple[SshSession, ...]) -> SshSessions:
    """The sessions of these sockets; `servers` are the inodes of sockets that belong to ssh servers."""
    table = tuple(table)
    ports = {_SSH, *(each.local_port for each in own), *(each.local_port for each in table if each.inode in servers)}
    others = (
        SshSession(each.remote, each.remote_port, each.local, each.local_port)
        for each in table
        if each.is_connected and each.local_port in ports
    )
    found = {(each.peer, each.peer_port): each for each in (*others, *own)}
    accepting = {each.local_port for each in table if not each.is_connected and each.local_port in ports}
    ordered = sorted(found.values(), key=lambda each: (not each.is_own, each.peer, each.peer_port))
    return SshSessions(tuple(ordered), frozenset(accepting | {each.local_port for each in own}))


def environment_sessions(environments: Iterable[bytes]) -> Iterator[SshSession]:
    """The sessions that these process environments (in the format of /proc/PID/environ) name in SSH_CONNECTION."""
    for environment in environments:
        for entry in environment.split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"SSH_CONNECTION":
                with suppress(ValueError):
                    peer, peer_port, local, local_port = value.decode().split()
                    yield SshSession(_canonical(peer), int(peer_port), _canonical(local), int(local_port), True)


def server_inodes() -> frozenset[int]:
    """The inodes of the sockets that ssh servers have open, as far as they are visible to this user."""
    found: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if (process / "comm").read_text().strip() not in _SERVERS:
                continue
            for fd in (process / "fd").iterdir():
                target = os.readlink(fd)  # noqa: PTH115  as text
                if target.startswith("socket:["):
                    found.add(int(target[len("socket:[") : -1]))
    return frozenset(found)


def _canonical(address: str) -> str:
    """Raises ValueError for text that is no address."""
    found = ip_address(address.partition("%")[0])
    return str((found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found)


def _ancestors() -> Iterator[bytes]:
    """The environments of this process and of its ancestors, as far as they are readable."""
    yield b"\0".join(name + b"=" + value for name, value in os.environb.items())
    process = Path("/proc", str(os.getppid()))
    for _ in range(_MAX_ANCESTORS):
        try:
            status = (process / "status").read_text()
        except OSError:
            return
        with suppress(OSError), (process / "environ").open("rb") as file:  # another user's
            yield file.read(_MAX_ENVIRONMENT)
        parent = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
        if parent == "0":
            return
        process = Path("/proc", parent)
