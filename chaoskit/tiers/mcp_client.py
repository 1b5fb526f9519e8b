"""Calls tools by MCP: a session with each host, opened by its first call, and anew when it is lost.

Opening one takes three exchanges in a row (`initialize`, `notifications/initialized`, `tools/list`), within the timers
of the attempt that needs it; calls that come meanwhile wait for it. A host that does not know its session any more, as
after a restart, answers 404, and gets the call again with a new one.
"""

from __future__ import annotations

import asyncio

from chaoskit.tiers import mcp_messages as mcp
from chaoskit.tiers.calls import Headers, Post, whole_body
from chaoskit.tiers.endpoints import Endpoint
from chaoskit.tiers.failures import CallError
from chaoskit.tiers.outgoing import Exchange

_NOT_FOUND = 404
CALL = 1
"""The number of each call: an exchange has one message."""
_CLIENT = {"capabilities": {}, "clientInfo": {"name": "chaoskit", "version": "1"}}


class McpSessions:
    """Those of a gateway. Implements `calls.Session`."""

    def __init__(self) -> None:
        self._headers: dict[Endpoint, Headers] = {}
        self._opening: dict[Endpoint, asyncio.Lock] = {}

    async def headers(self, host: Endpoint, post: Post) -> Headers:
        """The fields that name the session with this host; opens one by `post`. Raises CallError."""
        async with self._opening.setdefault(host, asyncio.Lock()):
            if host not in self._headers:
                self._headers[host] = await _open(post)
            return self._headers[host]

    def is_lost(self, host: Endpoint, headers: Headers, error: CallError) -> bool:
        """Whether the host has forgotten this session, for a new one to be opened."""
        if error.status != _NOT_FOUND:
            return False
        if self._headers.get(host) == headers:
            del self._headers[host]
        return True


async def tool_result(exchange: Exchange) -> str:
    """`receive` of a call: the text that the tool answered. Raises CallError."""
    return mcp.text(mcp.result(await whole_body(exchange), CALL))


def tool_call(name: str) -> bytes:
    """The message that calls this tool."""
    return mcp.request(CALL, "tools/call", {"name": name, "arguments": {}})


async def _open(post: Post) -> Headers:
    offer = mcp.request(1, "initialize", {"protocolVersion": mcp.VERSIONS[-1], **_CLIENT})
    body, exchange = await post(offer, mcp.ACCEPT)
    version = mcp.result(body, 1).get("protocolVersion")
    if not isinstance(version, str) or version not in mcp.VERSIONS:
        raise CallError("protocol", f"MCP {str(version)[:40]} is not spoken; {', '.join(mcp.VERSIONS)} are")
    session = exchange.fields.get(mcp.SESSION_HEADER)
    named = () if session is None else ((mcp.SESSION_HEADER, session),)
    headers = (*mcp.ACCEPT, (mcp.VERSION_HEADER, version), *named)
    await post(mcp.notification("notifications/initialized"), headers)
    mcp.result((await post(mcp.request(2, "tools/list", {}), headers))[0], 2)
    return headers
