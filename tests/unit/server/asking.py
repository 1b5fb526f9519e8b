"""Raw HTTP/1.1 requests to a server, in each API, and what comes back."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from typing import Any

from serving import Running

MESSAGES = [{"role": "user", "content": "hi"}]
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai-chat": ("/v1/chat/completions", {"model": "m", "messages": MESSAGES, "max_tokens": 6, "stream": True}),
    "openai-completions": ("/v1/completions", {"model": "m", "prompt": "hi", "max_tokens": 6, "stream": True}),
    "openai-responses": ("/v1/responses", {"model": "m", "input": "hi", "max_output_tokens": 6, "stream": True}),
    "anthropic-messages": ("/v1/messages", {"model": "m", "messages": MESSAGES, "max_tokens": 6, "stream": True}),
    "gemini": (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 6}},
    ),
    "ollama": ("/api/chat", {"model": "m", "messages": MESSAGES, "options": {"num_predict": 6}}),
    "ollama-generate": ("/api/generate", {"model": "m", "prompt": "hi", "options": {"num_predict": 6}}),
    "sse": ("/sse?tokens=6", {}),
}
"""A request for a stream of six tokens."""


@dataclass(frozen=True)
class Response:
    """What came: the head, the body without chunked coding, all bytes, and how the connection ended."""

    head: str
    body: bytes
    raw: bytes
    end: str  # close, reset, silence
    is_complete: bool  # the body has its last chunk, or as many bytes as its length says

    @property
    def status(self) -> int:
        """The status code; 0 without a head."""
        return int(self.head.split()[1]) if self.head.startswith("HTTP/") else 0

    @property
    def text(self) -> str:
        """The body, decompressed if it says so."""
        is_gzip = "content-encoding: gzip" in self.head
        return (gzip.decompress(self.body) if is_gzip else self.body).decode()

    @property
    def events(self) -> list[Any]:
        """The JSON of each event or line."""
        found = []
        for line in self.text.splitlines():
            data = line.removeprefix("data:").strip()
            if data.startswith("{"):
                found.append(json.loads(data))
        return found


def post(server: Running, path: str, body: Any, wait: float = 10, **headers: str) -> Response:
    """The response to a POST; `wait` s without a byte is silence."""
    data = json.dumps(body).encode()
    fields = {"host": "x", "connection": "close", "content-length": str(len(data)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    raw, end = b"", "close"
    with server.connect() as sock:
        sock.settimeout(wait)
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        try:
            while piece := sock.recv(1 << 16):
                raw += piece
        except TimeoutError:
            end = "silence"
        except ConnectionResetError:
            end = "reset"
    return _parsed(raw, end)


def stream(server: Running, api: str, script: str | None = None, wait: float = 10, **headers: str) -> Response:
    """The stream of six tokens, with a script that the request asks for."""
    path, body = REQUESTS[api]
    more = {} if script is None else {"x_chaoskit_script": script}
    return post(server, path, body, wait, **more, **headers)


def _parsed(raw: bytes, end: str) -> Response:
    head, _, rest = raw.partition(b"\r\n\r\n")
    lower = head.decode("latin-1").lower()
    if "transfer-encoding: chunked" in lower:
        body, is_complete = _unchunked(rest)
    else:
        length = re.search(r"content-length: (\d+)", lower)
        body, is_complete = rest, length is not None and len(rest) == int(length[1])
    return Response(head.decode("latin-1"), body, raw, end, is_complete)


def _unchunked(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while (found := re.match(rb"([0-9a-f]+)\r\n", rest)) is not None:
        size, rest = int(found[1], 16), rest[found.end() :]
        if not size:
            return body, rest.startswith(b"\r\n")
        body, rest = body + rest[:size], rest[size + 2 :]
    return body, False
