"""The reference server as one coroutine: a listener in, answers out, nothing left behind.

Rules: all connections share one timer and one script; every socket is closed when `serve` returns, whatever
ended it. HTTP/2 is spoken to whoever begins with its preface, or chose it by ALPN; to others HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

from chaoskit.errors import SpecError
from chaoskit.records.files import Log
from chaoskit.server.connection import Connection
from chaoskit.server.door import Door
from chaoskit.server.pace import Pacer
from chaoskit.server.script import Script
from chaoskit.server.telling import Desk

_FLUSH = 0.25  # seconds between writes of the log
_BACKLOG = 1024
_HANDSHAKE = 10.0  # seconds that a TLS handshake may take


async def serve(listener: socket.socket, script: Script, stop: asyncio.Event, log: Log | None = None) -> None:
    """Answer on `listener` (bound, TCP) until `stop` is set or the task is cancelled; then cut all streams.

    Writes a `Served` record to `log` for every answer, also for those that were cut. Closes the listener, not
    the log. Raises RefusedError when the log cannot be written.
    """
    loop = asyncio.get_running_loop()
    pacer = Pacer()
    desk = Desk(script, pacer, log)
    open_ones: set[Connection] = set()
    server = await loop.create_server(
        lambda: Door(desk, open_ones),
        sock=listener,
        backlog=_BACKLOG,
        ssl=script.tls,
        ssl_handshake_timeout=_HANDSHAKE if script.tls else None,
    )
    try:
        while not stop.is_set():
            if log is not None:
                log.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _FLUSH)
    finally:
        server.close()
        for connection in list(open_ones):
            connection.cut()
        while open_ones:  # each leaves when the loop has closed its socket
            await asyncio.sleep(0)
        pacer.close()
        if log is not None:
            log.flush()


def tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for `Script.tls` that offers HTTP/2 and HTTP/1.1. Raises SpecError when the files are no pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as problem:
        raise SpecError(f"{certificate} and {key} are no certificate and key in PEM: {problem}") from problem
    return context
