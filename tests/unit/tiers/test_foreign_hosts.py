"""A gateway asks hosts that others wrote: what they send may be wrong, and connections end while they are idle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tier_chain import GENERATE, GUARD, MODEL, RETRIEVE, Chain, chain, gateway

from chaoskit.records.span_names import RETRIEVAL_OUTCOME

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(raw: bytes, times: int = 1) -> Answer:
    """A host that answers so many requests of a connection with these bytes, and closes it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            writer.write(raw)
            await writer.drain()
        writer.close()

    return answer


def http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    """A response."""
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body


def asked(run: Path, answer: Answer, times: int = 1) -> list[int]:
    """The statuses of requests whose retrieval is this host."""

    async def go() -> list[int]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = gateway(replace(RETRIEVE, hosts=(f"nobody:{port}",)), GENERATE)
        async with server, chain(run, settings, {"guard": GUARD, "model": MODEL}) as running:
            found = []
            for _ in range(times):
                found.append((await running.ask())[0])
                await asyncio.sleep(0.02)
            return found

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("raw", "status", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 502, "protocol"),
        (b"", 502, "closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort", 502, "closed"),
        (http(b"no json"), 502, None),
        (http(b"[1]"), 502, None),
        (http(b"busy", "429 Too Many Requests"), 429, "429"),
        (http(b"oops", "500 Internal Server Error"), 502, "500"),
        (http(json.dumps({"results": [3, {"text": 4}, {"text": "x"}]}).encode()), 200, None),
        (http(json.dumps({"results": "none", "outcome": "?"}).encode()), 200, None),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + json.dumps({"results": []}).encode(), 200, None),
    ],
)
def test_what_a_host_sends_is_an_answer_or_an_error(tmp_path: Path, raw: bytes, status: int, error: Any) -> None:
    """One of the request's, never of the gateway: it tells its client which, and goes on with the next one."""
    assert asked(tmp_path, answering(raw), times=2) == [status, status]
    (first, _) = Chain(0, tmp_path).attempts("retrieval")
    assert first.error == error


def test_a_connection_that_was_closed_while_idle_costs_nothing(tmp_path: Path) -> None:
    """The request is sent again on a new one, and is no retry."""
    raw = http(json.dumps({"results": [{"text": "x"}]}).encode())

    assert asked(tmp_path, answering(raw, times=1), times=5) == [200] * 5
    outcomes = [each.attributes[RETRIEVAL_OUTCOME] for each in Chain(0, tmp_path).hops("retrieval")]
    assert outcomes == ["hit"] * 5
    assert len(Chain(0, tmp_path).attempts("retrieval")) == 5
