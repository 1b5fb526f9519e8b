"""Answers MCP for a host with tools: sessions, the list of its tools, calls.

| message                    | answer                                                                      |
|----------------------------|-----------------------------------------------------------------------------|
| `initialize`               | 200, and a session, which every later request names                         |
| a notification             | 202                                                                         |
| `ping`, `tools/list`       | 200, at once                                                                |
| `tools/call`               | 200, when the tool has worked; one that failed says `isError`, as MCP wants |
| anything of no session     | 400; of one that is not known, as after a restart, 404                      |

An answer is one event where the client takes events, as the servers of the official SDKs do, and else JSON.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from chaoskit.seed import derive
from chaoskit.server.requests import Reply, Request, json_reply
from chaoskit.tiers.failures import RequestError
from chaoskit.tiers.mcp_messages import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    SESSION_HEADER,
    VERSION_HEADER,
    VERSIONS,
)

TOOL_NAMES = tuple(f"tool_{number}" for number in range(1, 101))
"""Those that the gateway calls."""
_MOST_SESSIONS = 10_000
_LONGEST = 200  # characters of a name

Work = Callable[[Request, str], Awaitable[str]]


class McpServer:
    """The sessions of a host; `work` is what a tool does. Raises RequestError for a tool that failed."""

    headers = frozenset({SESSION_HEADER, VERSION_HEADER, "accept"})

    def __init__(self, host: str, seed: int, work: Work) -> None:
        self._host, self._seed, self._work = host, seed, work
        self._sessions: dict[str, None] = {}
        self._begun = 0

    async def answer(self, asked: Request, body: dict[str, Any]) -> Reply:
        """The answer to a message."""
        method, number, params = body.get("method"), body.get("id"), body.get("params")
        if not isinstance(method, str) or not isinstance(number, int | str | None):
            return _error(400, None, INVALID_REQUEST, "no message of JSON-RPC")
        if method == "initialize":
            return self._initialize(asked, number, params if isinstance(params, dict) else {})
        session, version = asked.headers.get(SESSION_HEADER), asked.headers.get(VERSION_HEADER)
        if version is not None and version not in VERSIONS:
            return _error(400, number, INVALID_REQUEST, f"MCP {version[:40]} is not spoken; {', '.join(VERSIONS)} are")
        if session not in self._sessions:
            status, what = (400, "no session") if session is None else (404, "unknown session")
            return _error(status, number, INVALID_REQUEST, f"{what}; begin with initialize")
        if number is None:
            return Reply(202, (("content-length", "0"),), b"")
        match method:
            case "ping":
                return _result(asked, number, {})
            case "tools/list":
                return _result(asked, number, {"tools": [_described(name) for name in TOOL_NAMES]})
            case "tools/call":
                return await self._call(asked, number, params.get("name") if isinstance(params, dict) else None)
        return _error(200, number, METHOD_NOT_FOUND, f"there is no method {method[:_LONGEST]}")

    def _initialize(self, asked: Request, number: int | str | None, params: dict[str, Any]) -> Reply:
        wanted = params.get("protocolVersion")
        self._begun += 1
        session = f"{derive(self._seed, 'mcp', self._host, self._begun):016x}"
        self._sessions[session] = None
        if len(self._sessions) > _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        told: dict[str, Any] = {
            "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[-1],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": self._host, "version": "1"},
        }
        return _result(asked, number, told, ((SESSION_HEADER, session),))

    async def _call(self, asked: Request, number: int | str, name: Any) -> Reply:
        if not isinstance(name, str) or len(name) > _LONGEST:
            return _error(200, number, INVALID_PARAMS, "name: field required, the name of a tool")
        try:
            content, has_failed = await self._work(asked, name), False
        except RequestError as error:
            content, has_failed = str(error), True
        return _result(asked, number, {"content": [{"type": "text", "text": content}], "isError": has_failed})


def _described(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"Looks {name} up.", "inputSchema": {"type": "object"}}


def _result(
    asked: Request, number: int | str | None, found: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    message = {"jsonrpc": "2.0", "id": number, "result": found}
    if "text/event-stream" not in asked.headers.get("accept", ""):
        return json_reply(200, message, headers)
    raw = f"event: message\ndata: {json.dumps(message)}\n\n".encode()
    return Reply(200, (("content-type", "text/event-stream"), ("content-length", str(len(raw))), *headers), raw)


def _error(status: int, number: int | str | None, code: int, sentence: str) -> Reply:
    return json_reply(status, {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": sentence}})
