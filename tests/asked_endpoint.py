"""An HTTP/1.1 endpoint on loopback that keeps every request it got, and probes it with the real program."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import warm

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWER = (
    b'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":" there"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


@dataclass
class Asked:
    """One request, and the number of its connection."""

    method: str
    path: str
    headers: dict[str, str]
    raw_body: bytes
    connection: int

    @property
    def body(self) -> Any:
        """Its JSON."""
        return json.loads(self.raw_body)


Answer = Callable[[Asked], bytes | Iterable[bytes]]


@dataclass
class Endpoint:
    """Where it listens, and what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def posts(self) -> list[Asked]:
        """The questions, without those for the list of models."""
        return [each for each in self.asked if each.method == "POST"]


def stream(body: bytes = ANSWER) -> bytes:
    """A whole response."""
    return HEAD + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


def reply(status: int, body: object, kind: str = "application/json") -> bytes:
    """A response that is no stream."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


def completes(asked: Asked) -> bytes:
    """No list of models; a stream for everything else."""
    return stream() if asked.method == "POST" else reply(404, {})


@contextlib.contextmanager
def endpoint(answer: Answer = completes) -> Iterator[Endpoint]:
    """Serve with kept connections until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}")
        serve(listener, found, answer)
        yield found
        listener.shutdown(socket.SHUT_RDWR)


def serve(listener: socket.socket, found: Endpoint, answer: Answer, tls: Any = None) -> None:
    """Answer the connections of a listener, in threads."""

    def one(sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), tls.wrap_socket(sock, server_side=True) if tls else sock as wrapped:
            reading = wrapped.makefile("rb")
            while (asked := _request(reading, number)) is not None:
                found.asked.append(asked)
                told = answer(asked)
                for part in [told] if isinstance(told, bytes) else told:
                    wrapped.sendall(part)

    def accept() -> None:
        with contextlib.suppress(OSError):
            for number in range(10**6):
                threading.Thread(target=one, args=(listener.accept()[0], number), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _request(reading: Any, number: int) -> Asked | None:
    first = reading.readline().split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while (line := reading.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        headers[name.decode().lower()] = value.strip().decode()
    body = reading.read(int(headers.get("content-length", 0)))
    return Asked(first[0].decode(), first[1].decode(), headers, body, number)


def probe(url: str, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `chaoskit probe` with one request, unless the options say otherwise, and no proxy in its environment."""
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    return warm.chaoskit("probe", url, "--requests", "1", *options, environment=proxies | (env or {}))


def everything_in(directory: Path) -> str:
    """All that was written there."""
    return "".join(path.read_text(errors="replace") for path in directory.rglob("*") if path.is_file())
