"""Responses whose finish reason or end marker is not the usual one."""

from __future__ import annotations

import json

from chaoskit.server.formats.api import Api
from chaoskit.server.malformations.malformation import CHUNKED, LAST, Malformation, Payload, changed

_REASONED = (*CHUNKED, "anthropic-messages", "gemini", "ollama", "ollama-generate")
_MARKED = (*CHUNKED, "sse")
_DONE = b"data: [DONE]\n\n"
_WORDS = {
    "stop": "completes",
    "length": "completes at the limit",
    "tool_calls": "completes with a tool call",
    "function_call": "completes, as before there were tools",
    "content_filter": "completes, filtered",
    "error": "an error",
    "network_error": "an error of the provider's network",
    "abort": "aborted, as SGLang says",
    "insufficient_system_resource": "an error, as DeepSeek says",
    "eos_token_found": "a word that nobody knows",
}


def _say_stop(payload: Payload) -> None:
    for choice in payload.get("choices", []):
        choice["finish_reason"] = "stop"
    for candidate in payload.get("candidates", []):
        candidate["finishReason"] = "STOP"


def _stop_everywhere(data: bytes, number: int) -> bytes:
    return data if number == LAST else changed(data, _say_stop)


def _without_reason(_api: Api, data: bytes) -> bytes:
    def forget(payload: Payload) -> None:
        for choice in payload.get("choices", []):
            choice["finish_reason"] = None
        for candidate in payload.get("candidates", []):
            candidate.pop("finishReason", None)
        payload.pop("done_reason", None)
        if payload.get("type") == "message_delta":
            payload["delta"]["stop_reason"] = None

    return changed(data, forget)


def _without_marker(api: Api, data: bytes) -> bytes:
    """Neither the finish nor what follows it."""
    if api.name in CHUNKED:
        return b""
    events = data.split(b"\n\n") if b"\n\n" in data else data.split(b"\n")
    separator = b"\n\n" if b"\n\n" in data else b"\n"
    return b"".join(event + separator for event in events if event and not _ends(event))


def _ends(event: bytes) -> bool:
    text = event.partition(b"data: ")[2] or event
    try:
        payload = json.loads(text)
    except ValueError:
        return True  # [DONE]
    kind = str(payload.get("type"))
    is_end = kind in ("message_delta", "message_stop") or kind.startswith(("response.completed", "response.incomplete"))
    return is_end or payload.get("done") is True or "candidates" in payload


def _only_finish(_api: Api, data: bytes) -> bytes:
    """The finish reason, and no end marker."""
    return data.replace(_DONE, b"").replace(b'event: message_stop\ndata: {"type":"message_stop"}\n\n', b"")


FINISHES = (
    *(
        Malformation(
            f"finish-{word.replace('_', '-')}", f"The finish reason is `{word}`: {meaning}.", _REASONED, finish=word
        )
        for word, meaning in _WORDS.items()
    ),
    Malformation("finish-missing", "No finish reason, but the end marker.", _REASONED, closing=_without_reason),
    Malformation(
        "finish-repeated",
        "Every event says `stop`, and the end is complete.",
        (*CHUNKED, "gemini"),
        rewrite=_stop_everywhere,
        finish="stop",
    ),
    Malformation(
        "finish-repeated-reset",
        "Every event says `stop`, then the connection is reset.",
        (*CHUNKED, "gemini"),
        rewrite=_stop_everywhere,
        breaks_after=lambda tokens: min(3, tokens),
        end="reset",
    ),
    Malformation(
        "finish-reset",
        "The finish reason, then a reset instead of the end marker.",
        (*CHUNKED, "anthropic-messages"),
        closing=_only_finish,
        end="reset",
    ),
    Malformation(
        "no-end-marker", "Neither a finish reason nor an end marker; the body ends properly.", closing=_without_marker
    ),
    Malformation(
        "no-done",
        "A finish reason, and no `[DONE]` or `message_stop`.",
        (*CHUNKED, "anthropic-messages"),
        closing=_only_finish,
    ),
    Malformation(
        "done-without-blank-line",
        "The last line is `data: [DONE]`, and the body ends without the blank line.",
        _MARKED,
        closing=lambda _api, data: data.removesuffix(b"\n"),
    ),
    Malformation(
        "last-line-without-newline",
        "The body ends without the last line's newline.",
        closing=lambda _api, data: data.rstrip(b"\n"),
    ),
    Malformation(
        "done-after-message-stop",
        "Anthropic's stream, followed by `[DONE]`.",
        ("anthropic-messages",),
        closing=lambda _api, data: data + _DONE,
    ),
    Malformation(
        "done-instead-of-message-stop",
        "Anthropic's stream with `[DONE]` in place of `message_stop`.",
        ("anthropic-messages",),
        closing=lambda api, data: _only_finish(api, data) + _DONE,
    ),
)
