"""The reference server as one coroutine: a listener in, answers out, nothing left behind.

Rules: all connections share one timer and one script; every socket is closed when `serve` returns, whatever
ended it. HTTP/2 is spoken to whoever begins with its preface (with TLS, ALPN offers it), HTTP/1.1 to others.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import ssl
from pathlib import Path

from chaoskit import clock
from chaoskit.errors import RefusedError, SpecError
from chaoskit.records.jsonl import Log
from chaoskit.server.acceptor import Acceptor
from chaoskit.server.connection import Connection
from chaoskit.server.limits import NEVER, PUBLIC, SECOND, Limits, connections, raise_file_limit
from chaoskit.server.protocol_detect import ProtocolDetector
from chaoskit.server.schedule import Script
from chaoskit.server.streaming import ResponseScheduler
from chaoskit.server.unacked import look_for_unacked
from chaoskit.timer import AbsoluteTimer

_FLUSH = 0.25  # seconds between writes of the logs, and looks at who takes too long
_LOOK = 4  # of these between looks at what is not acknowledged
_BACKLOG = 1024


async def serve(
    listener: socket.socket,
    script: Script,
    stop: asyncio.Event,
    log: Log | None = None,
    unacked: Log | None = None,
    limits: Limits = PUBLIC,
) -> None:
    """Answer on `listener` (bound, TCP) until `stop` is set or the task is cancelled; then cut all streams.

    Writes a `Served` record to `log` for every answer, also for those that were cut, and to `unacked` what
    `lookout` sees. Closes the listener, not the logs. Raises this process's open-file limit as far as it may.
    Raises RefusedError when a log cannot be written, or that limit leaves no room for connections.
    """
    raise_file_limit()
    most = connections(limits)
    pacer = AbsoluteTimer()
    desk = ResponseScheduler(script, pacer, log, unacked, limits)
    open_ones: set[Connection] = set()
    logs = [kept for kept in (log, unacked) if kept is not None]
    rounds = 0
    tls = None if script.tls is None else (script.tls, limits.handshake / SECOND, limits.linger / SECOND)
    acceptor = Acceptor(listener, lambda: ProtocolDetector(desk, open_ones), open_ones, most, tls)
    try:
        acceptor.go_on()
        while not stop.is_set():
            if unacked is not None and rounds % _LOOK == 0:
                look_for_unacked(open_ones)
            rounds += 1
            acceptor.go_on()
            if limits.idle < NEVER:
                now = clock.now()
                for connection in list(open_ones):
                    connection.look(now)
            for written in logs:
                written.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _FLUSH)
    finally:
        acceptor.close()
        if unacked is not None:
            look_for_unacked(open_ones)
        await _cut(open_ones)
        pacer.close()
        for written in logs:
            written.flush()


async def _cut(open_ones: set[Connection]) -> None:
    """Cut all connections, and return when the loop has closed their sockets.

    A connection that has just been accepted takes the loop three rounds to appear.
    """
    rounds, done = 0, set[Connection]()
    while open_ones or rounds < 4:
        for connection in open_ones - done:
            connection.cut()
            done.add(connection)
        await asyncio.sleep(0)
        rounds += 1


async def serve_until_signal(listener: socket.socket, script: Script, limits: Limits = PUBLIC) -> int:
    """Serve until SIGINT or SIGTERM comes; returns its number. For a process that does nothing else."""
    stop = asyncio.Event()
    came: list[int] = []

    def end(sign: int) -> None:
        came.append(sign)
        stop.set()

    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, end, sign)
    await serve(listener, script, stop, limits=limits)
    return came[0]


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one. Raises RefusedError with what to type next."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except socket.gaierror as problem:
        reason = f"{problem.strerror}; this machine's addresses: ip address"
    except UnicodeError:
        reason = "it is no host name; this machine's addresses: ip address"
    except OSError as problem:
        match problem.errno:
            case errno.EADDRINUSE:
                reason = f"taken by another program; try --port 0 for a free one, or find it: ss -ltnp sport = :{port}"
            case errno.EACCES:
                reason = "ports below 1024 are root's; try --port 8000"
            case _:
                reason = f"{os.strerror(problem.errno or 0)}; this machine's addresses: ip address"
    raise RefusedError(f"cannot listen on {host} port {port}: {reason}")


def tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for `Script.tls` that offers HTTP/2 and HTTP/1.1. Raises SpecError when the files are no pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as problem:
        raise SpecError(f"{certificate} and {key} are no certificate and key in PEM: {problem}") from problem
    return context
