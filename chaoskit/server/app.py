"""Runs the reference server on a listener, as one coroutine that closes all its sockets.

Rules: all connections share one timer and one script; every socket is closed when `serve` returns, for whatever reason.
A client that sends the HTTP/2 preface gets HTTP/2 (with TLS, ALPN offers it), any other HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from chaoskit import clock, loop_signals
from chaoskit.errors import RefusedError, SpecError
from chaoskit.records.jsonl import Log
from chaoskit.server.acceptor import Acceptor
from chaoskit.server.connection import Connection
from chaoskit.server.dispatcher import Dispatcher
from chaoskit.server.inference.model_records import ModelLogs
from chaoskit.server.limits import NEVER, PUBLIC, SECOND, Limits, max_connections, raise_file_limit
from chaoskit.server.protocol_detect import ProtocolDetector
from chaoskit.server.schedule import Script
from chaoskit.server.streaming import ResponseDispatcher
from chaoskit.server.unacked import record_unacked
from chaoskit.timer import AbsoluteTimer

_FLUSH = 0.25  # seconds between flushes of the logs, and checks of timeouts
_UNACKED_EVERY = 4  # flush intervals between checks for unacknowledged data
_BACKLOG = 1024


async def serve(
    listener: socket.socket,
    script: Script,
    stop: asyncio.Event,
    log: Log | None = None,
    unacked: Log | None = None,
    limits: Limits = PUBLIC,
    model_logs: ModelLogs | None = None,
) -> None:
    """Answer on `listener` (bound, TCP) until `stop` is set or the task is cancelled; then abort all streams.

    Writes a `ServedResponse` record to `log` for every response, aborted ones included, and `UnackedSample` records to
    `unacked`; spans of requests, and an engine's queue, to `model_logs`. Closes the listener, not the logs. Raises this
    process's open-file limit to the hard limit.
    Raises RefusedError when a log cannot be written, or that limit leaves no descriptors for connections.
    """
    logs = [each for each in (log, unacked) if each is not None]
    if model_logs is not None:
        logs += model_logs.logs
    timer = AbsoluteTimer()
    try:
        dispatcher = ResponseDispatcher(script, timer, log, unacked, limits, model_logs)
        await serve_with(dispatcher, listener, stop, logs, script.tls)
        if dispatcher.model is not None:
            dispatcher.model.close()
    finally:
        timer.close()
        for each in logs:
            each.flush()


async def serve_with(
    dispatcher: Dispatcher,
    listener: socket.socket,
    stop: asyncio.Event,
    logs: Sequence[Log],
    tls: ssl.SSLContext | None = None,
) -> None:
    """As `serve`, with another one that answers; `logs` are flushed a few times a second, and at the end."""
    raise_file_limit()
    limits = dispatcher.limits
    connections: set[Connection] = set()
    rounds = 0
    handshake = None if tls is None else (tls, limits.handshake / SECOND, limits.linger / SECOND)
    acceptor = Acceptor(
        listener,
        lambda: ProtocolDetector(dispatcher, connections),
        connections,
        max_connections(limits),
        handshake,
    )
    try:
        acceptor.resume()
        while not stop.is_set():
            if dispatcher.unacked is not None and rounds % _UNACKED_EVERY == 0:
                record_unacked(connections)
            rounds += 1
            acceptor.resume()
            if limits.idle < NEVER:
                now = clock.now()
                for connection in list(connections):
                    connection.check_timeouts(now)
            for each in logs:
                each.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _FLUSH)
    finally:
        acceptor.close()
        if dispatcher.unacked is not None:
            record_unacked(connections)
        await _abort_all(connections)
        for each in logs:
            each.flush()


async def _abort_all(connections: set[Connection]) -> None:
    """Abort all connections, and return when the loop has closed their sockets.

    In the order of their streams, so that runs are repeatable. A connection that has just been accepted appears after
    three iterations of the loop.
    """
    rounds, done = 0, set[Connection]()
    while connections or rounds < 4:
        for connection in sorted(connections - done, key=lambda each: each.latest_stream or 0):
            connection.abort()
            done.add(connection)
        await asyncio.sleep(0)
        rounds += 1


async def serve_until_signal(listener: socket.socket, script: Script, limits: Limits = PUBLIC) -> int:
    """Serve until SIGINT or SIGTERM; returns its number. For a process that does nothing else."""
    stop = asyncio.Event()
    received: list[int] = []

    def end(sign: int) -> None:
        received.append(sign)
        stop.set()

    with loop_signals.handled((signal.SIGINT, signal.SIGTERM), end):
        await serve(listener, script, stop, limits=limits)
    return received[0]


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 chooses a free one. Raises RefusedError with the next command to type."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except socket.gaierror as problem:
        reason = f"{problem.strerror}; this machine's addresses: ip address"
    except UnicodeError:
        reason = "it is not a host name; this machine's addresses: ip address"
    except OSError as problem:
        match problem.errno:
            case errno.EADDRINUSE:
                reason = f"in use by another program; try --port 0 for a free one, or find it: ss -ltnp sport = :{port}"
            case errno.EACCES:
                reason = "ports below 1024 need root; try --port 8000"
            case _:
                reason = f"{os.strerror(problem.errno or 0)}; this machine's addresses: ip address"
    raise RefusedError(f"cannot listen on {host} port {port}: {reason}")


def tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for `Script.tls` that offers HTTP/2 and HTTP/1.1. Raises SpecError when the files do not match."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as problem:
        raise SpecError(f"{certificate} and {key} are not a certificate and its key in PEM: {problem}") from problem
    return context
