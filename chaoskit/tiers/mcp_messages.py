"""Writes and reads MCP: messages of JSON-RPC 2.0 over HTTP, answers as JSON or as one event.

The transport is "Streamable HTTP", of the revisions with a session:
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports. What only servers begin (GET, notifications,
requests to the client) is not spoken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from chaoskit.tiers.failures import CallError

MCP_PATH = "/mcp"
SESSION_HEADER, VERSION_HEADER = "mcp-session-id", "mcp-protocol-version"
VERSIONS = ("2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions with this transport, the newest last."""
METHOD_NOT_FOUND, INVALID_PARAMS, INVALID_REQUEST = -32601, -32602, -32600
ACCEPT = (("accept", "application/json, text/event-stream"),)


def request(number: int, method: str, params: dict[str, Any]) -> bytes:
    """A request, whose answer has its number."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def notification(method: str) -> bytes:
    """What has no answer."""
    return json.dumps({"jsonrpc": "2.0", "method": method}).encode()


def result(body: bytes, number: int) -> dict[str, Any]:
    """The result in the answer with this number. Raises CallError for an error, and for what is no answer."""
    for message in _messages(body):
        match message:
            case {"id": answered, "result": dict(found)} if answered == number:
                return found
            case {"id": answered, "error": {"code": code, "message": sentence}} if answered in (number, None):
                raise CallError("tool", f"MCP error {code}: {str(sentence)[:200]}")
    raise CallError("protocol", "no answer of MCP")


def text(found: dict[str, Any]) -> str:
    """The text of a tool's result. Raises CallError where the tool says that it failed."""
    parts = found.get("content")
    texts = [
        part["text"]
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    ]
    if found.get("isError") is True:
        raise CallError("tool", "\n".join(texts)[:200] or "the tool failed")
    return "\n".join(texts)


def _messages(body: bytes) -> Iterator[Any]:
    """A body of JSON, or the data of each event. What is no JSON is left out."""
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    is_json = lines.lstrip()[:1] == b"{"
    for part in [lines] if is_json else lines.split(b"\n\n"):
        data = part if is_json else b"\n".join(line[5:] for line in part.split(b"\n") if line.startswith(b"data:"))
        try:
            yield json.loads(data)
        except (ValueError, RecursionError):
            continue
