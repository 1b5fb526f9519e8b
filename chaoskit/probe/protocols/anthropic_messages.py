"""Anthropic's messages.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import END, Json, ProtocolEvent, Usage, integer, mapping, stamps_of
from chaoskit.probe.protocols.stream_protocol import KeyHeader, Question, StreamProtocol
from chaoskit.records.model import Event, EventKind


def _body(question: Question) -> Json:
    messages = [{"role": role, "content": content} for role, content in question.turns]
    system = {"system": question.system} if question.system else {}
    return {
        "model": question.model,
        **system,
        "messages": messages,
        "max_tokens": question.max_tokens,
        "stream": True,
    }


def _interpret(payload: Json) -> ProtocolEvent:
    match payload.get("type"):
        case "content_block_delta":
            delta = mapping(payload.get("delta"))
            kind: EventKind = "meta"
            if delta.get("text") or delta.get("partial_json"):
                kind = "content"
            elif delta.get("thinking"):
                kind = "reasoning"
            return ProtocolEvent(Event(kind, *stamps_of(payload)))
        case "message_stop":
            return END
        case "message_delta" if mapping(payload.get("delta")).get("stop_reason"):
            told = Usage(integer(mapping(payload.get("usage")).get("output_tokens")))
            return ProtocolEvent(Event("finish", *stamps_of(payload)), usage=told)
        case "ping":
            return ProtocolEvent(Event("ping"))
        case _:
            return ProtocolEvent(Event("meta", *stamps_of(payload)))


ANTHROPIC_MESSAGES = StreamProtocol(
    "/v1/messages",
    _body,
    _interpret,
    "message_stop",
    headers={"anthropic-version": "2023-06-01"},
    key=KeyHeader("x-api-key", ""),
)
