"""Fuzzes the reference server with hostile clients: seeded mutations of valid conversations.

The server is a separate process. It must answer a valid request after each round, and in the end have written nothing
to stderr and not have grown.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from h2.config import H2Configuration
from h2.connection import H2Connection

from fuzz.mutate import of_bytes
from fuzz.target import Judge, Target

_ROUND = 25  # connections between checks of the server
_OPEN = 12  # connections kept open
_GROWTH = 64 * 2**10  # kB
_TIMEOUT = 5.0  # s
_SERVER_CODE = """
import asyncio
from chaoskit.server.app import listen, serve_until_signal
from chaoskit.server.limits import Limits
from chaoskit.server.schedule import Script
from chaoskit.units import Duration
second = 10**9
times = dict(head=second, body=second, idle=second, write=second, linger=second // 5)
limits = Limits(**times, memory=2000, body_size=200, requests=60, unsent=2**16, frames=40, resets=5, head_size=2000)
listener = listen("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
asyncio.run(serve_until_signal(listener, Script(Duration(0), Duration(0), Duration(1000), 7), limits))
"""
_VALID = b"GET /sse?tokens=2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
_CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"max_tokens":5}'
_OTHERS = (
    (b"/v1/completions", b"crlf", b'{"model":"m","prompt":"hi","stream":true,"max_tokens":5}'),
    (
        b"/v1/responses",
        b"gzip-held",
        b'{"model":"m","input":"hi","stream":true,"tools":[{"type":"function","name":"f"}]}',
    ),
    (b"/v1beta/models/m:streamGenerateContent", b"short", b'{"contents":[{"parts":[{"text":"hi"}]}]}'),
    (b"/api/generate", b"error-event", b'{"model":"m","prompt":"hi","options":{"num_predict":5}}'),
    (b"/sse?tokens=5", b"surplus", b""),
    (b"/tokenize", b"", b'{"prompt":"hi"}'),
)
"""Paths, scripts and bodies."""
_FRAMES = tuple(bytes((0, 0, size, kind, flags, 0, 0, 0, 1)) for kind in range(11) for size, flags in ((0, 5), (4, 0)))


def conversations() -> list[bytes]:
    """Valid conversations, in HTTP/1.1 and HTTP/2."""
    posts = [
        b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (path, len(_CHAT), _CHAT)
        for path in (b"/v1/chat/completions", b"/v1/messages", b"/api/chat")
    ]
    posts += [
        b"POST %b HTTP/1.1\r\nhost: x\r\nx-chaoskit-script: %b\r\ncontent-length: %d\r\n\r\n%b"
        % (path, script, len(body), body)
        for path, script, body in _OTHERS
    ]
    chunked = b"POST /sse HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    return [_VALID, *posts, b"".join(posts), chunked, _http2(1), _http2(3), _http2(2, b" " * 150)]


def _http2(streams: int, more: bytes = b"") -> bytes:
    """`streams` requests, with `more` after their bodies."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for number in range(1, 2 * streams, 2):
        head = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/v1/chat/completions")]
        client.send_headers(number, head)
        client.send_data(number, _CHAT + more, end_stream=True)
        client.increment_flow_control_window(1000, number)
    client.ping(b"12345678")
    client.reset_stream(1)
    return client.data_to_send()


def mutate(random: Random, seeds: list[bytes]) -> bytes:
    """Bytes changed anywhere; for HTTP/2 mostly after the preface."""
    data = random.choice(seeds)
    kept = 24 if data.startswith(b"PRI") and random.random() < 0.9 else 0
    change = of_bytes(*_FRAMES, b"\r\n\r\n", b"content-length: 7\r\n", b"1e999", b"[" * 3000)
    return data[:kept] + change(random, [data[kept:], *(seed[24:] for seed in seeds if kept and seed[:3] == b"PRI")])


@contextmanager
def server() -> Iterator[Judge]:
    """A server and its hostile client. Raises AssertionError at the end when the server wrote to stderr."""
    process = subprocess.Popen([sys.executable, "-c", _SERVER_CODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    kept: list[socket.socket] = []
    count = 0
    _check(port)
    before = _memory(process.pid)

    def judge(data: bytes) -> None:
        nonlocal count
        sock = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT)
        kept.append(sock)
        with contextlib.suppress(ConnectionError):
            cut = len(data) * (count % 4) // 4
            sock.sendall(data[:cut])
            sock.sendall(data[cut:])
            if count % 3 == 0:
                with contextlib.suppress(OSError):  # the server has reset it
                    sock.shutdown(socket.SHUT_WR)
            _read_available(sock)
        if len(kept) > _OPEN:
            kept.pop(count % _OPEN).close()
        count += 1
        if count % _ROUND == 0:
            _check(port)

    try:
        yield judge
        for sock in kept:
            sock.close()
        _check(port)
        grown = _memory(process.pid) - before
        assert grown < _GROWTH, f"the server has grown by {grown} kB"
    finally:
        process.terminate()
        _, stderr = process.communicate(timeout=10)
    assert not stderr, stderr.decode(errors="replace")[-3000:]


def _read_available(sock: socket.socket) -> None:
    """Read what is available at once; the server may rightly wait for more."""
    if select.select([sock], [], [], 0.002)[0]:
        sock.recv(65536)


def _check(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as sock:
        sock.sendall(_VALID)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"), f"a valid request got {answer[-200:]!r}"


def _memory(pid: int) -> int:
    """Its peak resident size, kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


SERVER = Target("serve", conversations, mutate, server)
