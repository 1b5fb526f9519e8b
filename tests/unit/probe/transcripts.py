"""Complete responses of every protocol, as servers send them."""

from __future__ import annotations

import json
from typing import Any

from chaoskit.spec.workload import Protocol


def sse(*payloads: Any, names: bool = False) -> bytes:
    """Server-sent events with this JSON, named by their type where the protocol does that."""
    return b"".join(
        (f"event: {payload['type']}\n" if names else "").encode() + b"data: " + json.dumps(payload).encode() + b"\n\n"
        for payload in payloads
    )


def lines(*payloads: Any) -> bytes:
    """NDJSON."""
    return b"".join(json.dumps(payload, ensure_ascii=False).encode() + b"\n" for payload in payloads)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of OpenAI's."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def block(kind: str, **fields: Any) -> dict[str, Any]:
    """A piece of Anthropic's."""
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **fields}}


def candidate(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A chunk of Gemini's."""
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **fields}]}


DONE = b"data: [DONE]\n\n"
COMPLETE: dict[Protocol, bytes] = {
    "openai-chat": b": waiting\n\n"
    + sse(delta(role="assistant", content=""), delta(content="Zwölf"), delta(content=" 🥊"), delta("stop"))
    + sse({"choices": [], "usage": {"completion_tokens": 3}})
    + DONE,
    "openai-completions": sse(
        {"choices": [{"index": 0, "text": "a"}]}, {"choices": [{"index": 0, "text": "b", "finish_reason": "stop"}]}
    )
    + DONE,
    "openai-responses": sse(
        {"type": "response.created", "response": {"error": None}},
        {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.output_text.delta", "delta": "b"},
        {"type": "response.completed", "response": {"usage": {"output_tokens": 3}}},
        names=True,
    ),
    "anthropic-messages": sse(
        {"type": "message_start", "message": {"type": "message", "content": [], "usage": {"output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        block("thinking_delta", thinking="hm"),
        block("text_delta", text="a"),
        block("text_delta", text="b"),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
        names=True,
    ),
    "gemini": sse(
        candidate({"text": "hm", "thought": True}),
        candidate({"text": "a"}),
        candidate({"text": "b"}, finishReason="STOP") | {"usageMetadata": {"candidatesTokenCount": 2}},
    ).replace(b"\n", b"\r\n"),
    "ollama": lines(
        {"message": {"role": "assistant", "content": "Zwölf"}, "done": False},
        {"message": {"role": "assistant", "content": " 🥊"}, "done": False},
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", "eval_count": 3},
    ),
    "ollama-generate": lines(
        {"response": "a", "done": False},
        {"response": "b", "done": False},
        {"response": "", "done": True, "done_reason": "stop", "eval_count": 3},
    ),
    "sse": b"id: 1\nevent: word\ndata: a\n\nid: 2\ndata: b\n\ndata: [DONE]\n\n",
}
"""By protocol: one answer of a few tokens that ends well."""
FRAMED = [
    b"data: one\n\ndata: two\n\n",
    b"data: one\r\n\r\ndata: two\r\n\r\n",
    b"data: one\r\rdata: two\r\r",
    b"data: mixed\r\n\ndata: ends\r\r\ndata: here\n\r\n",
    b"\xef\xbb\xbfdata: after a byte order mark\n\n",
    "data: zwölf Boxkämpfer 🥊 \u2028 \u0085 \x0b end\n\n".encode(),
    b"event: a\ndata: 1\ndata: 2\ndata:\ndata:  3\nid: 7\nretry: 10\n\n",
    b": comment\n\n:also\ndata: x\n: within\ndata: y\n\n",
    b"event: lost\n\ndata: has no type\n\n",
    b"data\n\ndata:\n\nnonsense: 1\ndata: end\n\n",
    b"data: never finished\n",
    b'data: {"a": "b:c"}\n\n\n\n\n',
]
"""Bodies of server-sent events that look odd, and that the specification defines."""
