"""Tools by MCP: our gateway and our tools with each other, with the official SDK, and with hosts that are wrong."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp.client.client import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer
from mcp_types import TextContent
from tier_chain import GENERATE, MODEL, TOOLS, TWO_TOOLS, Chain, chain, gateway

from chaoskit.records.jsonl import Log, read
from chaoskit.records.spans import Span
from chaoskit.tiers.serving import serve_tier
from chaoskit.tiers.settings import CallTimers, ToolSettings

BY_MCP = replace(TWO_TOOLS, protocol="mcp")
MS = 10**6


@asynccontextmanager
async def tools(run: Path, settings: ToolSettings = TOOLS) -> AsyncIterator[int]:
    """A tool host on a port of its own."""
    stop, listener = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
    log = Log(run, Span)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve_tier("tools", settings, listener, stop, log))
        yield listener.getsockname()[1]
        stop.set()
    log.close()


@pytest.mark.parametrize("parallel", [False, True])
def test_a_gateway_calls_our_tools(tmp_path: Path, parallel: bool) -> None:
    """Two calls of each request, in one session: both are spans of the same trace on both hosts."""

    async def go() -> list[int]:
        settings = gateway(replace(BY_MCP, parallel=parallel), GENERATE)
        async with chain(tmp_path, settings, {"tools": TOOLS, "model": MODEL}) as running:
            return [(await running.ask())[0] for _ in range(3)]

    assert asyncio.run(go()) == [200] * 3
    found = Chain(0, tmp_path)
    assert [(each.name, each.error) for each in found.hops("tool")] == [("tool_1", None), ("tool_2", None)] * 3
    assert {each.parent for each in found.spans("tool", "tools")} == {each.span for each in found.attempts("tool")}


def test_a_tool_that_fails_is_told_to_the_model(tmp_path: Path) -> None:
    """`isError` in a result with status 200 is a failed hop, which is tried again and ends nothing."""

    async def go() -> int:
        settings = gateway(replace(BY_MCP, timers=CallTimers(retries=1)), GENERATE)
        failing = replace(TOOLS, failures=1.0)
        async with chain(tmp_path, settings, {"tools": failing, "model": MODEL}) as running:
            return (await running.ask())[0]

    assert asyncio.run(go()) == 200
    assert [each.error for each in Chain(0, tmp_path).hops("tool")] == ["tool"] * 2
    assert len(Chain(0, tmp_path).attempts("tool")) == 4


def test_the_official_client_uses_our_tools(tmp_path: Path) -> None:
    """It lists the tools, calls one, and is told of one that fails; the newer way to begin falls back to a session."""

    async def go(settings: ToolSettings) -> tuple[str, int, str, bool]:
        async with (
            tools(tmp_path, settings) as port,
            streamable_http_client(f"http://127.0.0.1:{port}/mcp") as (reader, writer),
            ClientSession(reader, writer) as session,
        ):
            began = await session.initialize()
            listed = await session.list_tools()
            async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                called = await client.call_tool("tool_7", {"about": "rain"})
            (part,) = called.content
            assert isinstance(part, TextContent)
            return began.protocol_version, len(listed.tools), part.text, called.is_error

    version, count, text, is_error = asyncio.run(go(TOOLS))
    assert (version, count, len(text), is_error) == ("2025-11-25", 100, TOOLS.size, False)
    assert asyncio.run(go(replace(TOOLS, failures=1.0)))[2:] == ("tool_7 failed", True)
    assert [each.error for each in read(tmp_path, Span)] == [None, "500"]


def test_a_gateway_calls_tools_of_the_official_server(tmp_path: Path) -> None:
    """Its own sessions and its events; a tool that it does not have is an error of the tool."""
    server = MCPServer("foreign")

    @server.tool()
    def tool_1() -> str:
        return "sunny"

    async def go() -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        program = uvicorn.Server(uvicorn.Config(server.streamable_http_app(host="0.0.0.0"), log_level="error"))
        serving = asyncio.create_task(program.serve([listener]))
        settings = gateway(replace(BY_MCP, hosts=(f"nobody:{port}",)), GENERATE)
        async with chain(tmp_path, settings, {"model": MODEL}) as running:
            status = (await running.ask())[0]
        program.should_exit = True
        await serving
        return status

    assert asyncio.run(go()) == 200
    assert [each.error for each in Chain(0, tmp_path).hops("tool")] == [None, "tool"]


class Scripted:
    """A host that answers one request after the other with these, and keeps what it was asked."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str | None, str]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.answers:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
            body = json.loads(await reader.readexactly(int(fields["content-length"])))
            self.asked.append((fields.get("mcp-session-id"), body["method"]))
            writer.write(self.answers.pop(0))
            await writer.drain()
        writer.close()


def http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    """A response."""
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body


def told(number: int, **result: Any) -> bytes:
    """A result in JSON."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()


def opened(session: str) -> list[bytes]:
    """The three answers that open a session."""
    began = http(told(1, protocolVersion="2025-06-18"), more=f"Mcp-Session-Id: {session}\r\n")
    return [began, http(b"", "202 Accepted"), http(told(2, tools=[]))]


CALLED = told(1, content=[{"type": "image"}, {"type": "text", "text": "sunny"}])
AS_EVENT = b": hello\r\n\r\nevent: message\r\ndata: " + CALLED + b"\r\n\r\n"


def asked(
    run: Path, answers: Sequence[bytes], requests: int = 1
) -> tuple[list[str | None], list[tuple[str | None, str]]]:
    """The errors of the hops, each with one call, and what the host was asked."""
    host = Scripted(answers)

    async def go() -> None:
        server = await asyncio.start_server(host, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        stage = replace(BY_MCP, hosts=(f"nobody:{port}",), calls=replace(BY_MCP.calls, p50=1, p95=1))
        async with server, chain(run, gateway(stage, GENERATE), {"model": MODEL}) as running:
            for _ in range(requests):
                assert (await running.ask())[0] == 200

    asyncio.run(go())
    return [each.error for each in Chain(0, run).hops("tool")], host.asked


OPENING = ["initialize", "notifications/initialized", "tools/list"]


def test_a_session_that_is_lost_is_opened_anew(tmp_path: Path) -> None:
    """After 404 the same call goes into a new session, within the same attempt; the next call stays in it."""
    answers = [*opened("a"), http(b"gone", "404 Not Found"), *opened("b"), http(AS_EVENT), http(CALLED)]

    errors, said = asked(tmp_path, answers, requests=2)

    assert errors == [None, None]
    opening = [(None, OPENING[0]), *(("a", each) for each in OPENING[1:])]
    again = [(None, OPENING[0]), *(("b", each) for each in OPENING[1:])]
    assert said == [*opening, ("a", "tools/call"), *again, ("b", "tools/call"), ("b", "tools/call")]
    assert len(Chain(0, tmp_path).attempts("tool")) == 2


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([http(b"no json")], "protocol"),
        ([http(told(9, protocolVersion="2025-06-18"))], "protocol"),
        ([http(told(1, protocolVersion="1999-01-01"))], "protocol"),
        ([http(told(1))], "protocol"),
        ([http(b"busy", "503 Service Unavailable")], "503"),
        ([*opened("a"), http(b"data: [" + b"[" * 20_000 + b"\n\n")], "protocol"),
        ([*opened("a"), http(json.dumps({"id": 1, "error": {"code": -32602, "message": "no"}}).encode())], "tool"),
        ([*opened("a"), http(told(1, content="none", isError=True))], "tool"),
        ([*opened("a"), http(b"", "404 Not Found"), *opened("b"), http(b"", "404 Not Found")], "404"),
    ],
)
def test_what_a_host_says_is_an_answer_or_an_error(tmp_path: Path, answers: list[bytes], error: str) -> None:
    """One of the hop's, never of the gateway, which goes on with the request."""
    assert asked(tmp_path, answers)[0] == [error]


@pytest.mark.parametrize(
    ("message", "headers", "status", "said"),
    [
        ({"method": "tools/list", "id": 1}, {}, 400, "no session; begin with initialize"),
        ({"method": "tools/list", "id": 1}, {"mcp-session-id": "x"}, 404, "unknown session; begin with initialize"),
        ({"method": "server/discover", "id": 1}, {"mcp-protocol-version": "2026-07-28"}, 400, "2026-07-28 is not spok"),
        ({"method": ["x"], "id": 1}, {}, 400, "no message of JSON-RPC"),
        ({"id": {}}, {}, 400, "no message of JSON-RPC"),
        ({"method": "resources/list", "id": 1}, {"mcp-session-id": ""}, 200, "there is no method resources/list"),
        ({"method": "tools/call", "id": 1}, {"mcp-session-id": ""}, 200, "name: field required, the name of a tool"),
        ({"method": "tools/call", "id": 1, "params": 3}, {"mcp-session-id": ""}, 200, "name: field required"),
    ],
)
def test_a_wrong_message_gets_an_error(
    tmp_path: Path, message: dict[str, Any], headers: dict[str, str], status: int, said: str
) -> None:
    """Of HTTP where there is no session, of JSON-RPC within one; "" stands for an open session."""

    async def go() -> httpx2.Response:
        async with tools(tmp_path) as port, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            began = await client.post("/mcp", json={"method": "initialize", "id": 0})
            named = {key: value or began.headers["mcp-session-id"] for key, value in headers.items()}
            assert (await client.get("/mcp")).status_code == 405
            return await client.post("/mcp", json=message, headers=named)

    answer = asyncio.run(go())
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
