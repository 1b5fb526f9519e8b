"""Google's Gemini, whose stream is server-sent events only with `alt=sse`.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.probe.protocols.events import Json, ProtocolEvent, Usage, first, integer, mapping, stamps_of
from chaoskit.probe.protocols.stream_protocol import KeyHeader, Question, StreamProtocol
from chaoskit.records.model import Event, EventKind

_ROLES = {"user": "user", "assistant": "model"}


def _body(question: Question) -> Json:
    contents = [{"role": _ROLES[role], "parts": [{"text": content}]} for role, content in question.turns]
    system = {"systemInstruction": {"parts": [{"text": question.system}]}} if question.system else {}
    return {**system, "contents": contents, "generationConfig": {"maxOutputTokens": question.max_tokens}}


def _interpret(payload: Json) -> ProtocolEvent:
    candidate = mapping(first(payload.get("candidates")))
    finish = candidate.get("finishReason")
    parts = mapping(candidate.get("content")).get("parts")
    kind = _kind(mapping(part) for part in (parts if isinstance(parts, list) else ()))
    if kind == "meta" and finish:
        kind = "finish"
    return ProtocolEvent(Event(kind, *stamps_of(payload)), completes=bool(finish), usage=_usage(payload))


def _kind(parts: Iterable[Json]) -> EventKind:
    """Content if any part is output, reasoning if any is a thought."""
    kind: EventKind = "meta"
    for part in parts:
        if part.get("thought"):
            kind = "reasoning" if part.get("text") else kind
        elif part.get("text") or part.get("functionCall"):
            return "content"
    return kind


def _usage(payload: Json) -> Usage:
    """Gemini counts thoughts beside the candidates."""
    usage = mapping(payload.get("usageMetadata"))
    said, thoughts = integer(usage.get("candidatesTokenCount")), integer(usage.get("thoughtsTokenCount")) or 0
    return Usage(None if said is None else said + thoughts, thoughts)


GEMINI = StreamProtocol(
    "/v1beta/models/{model}:streamGenerateContent?alt=sse",
    _body,
    _interpret,
    "a finishReason",
    key=KeyHeader("x-goog-api-key", ""),
)
