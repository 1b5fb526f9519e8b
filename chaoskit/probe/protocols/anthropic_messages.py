"""Anthropic's messages.

Source: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import END, Json, ProtocolEvent, Usage, integer, mapping, stamps_of, text
from chaoskit.probe.protocols.finish_reasons import word_of
from chaoskit.probe.protocols.output import of_text
from chaoskit.probe.protocols.stream_protocol import KeyHeader, Question, StreamProtocol
from chaoskit.records.model import Event


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
            said = delta.get("text") or delta.get("partial_json")
            output = of_text(said) if said else of_text(delta.get("thinking"), "reasoning")
            return ProtocolEvent(Event(output.kind, *stamps_of(payload)), characters=output.characters)
        case "content_block_start":
            output = of_text(payload.get("content_block"))
            return ProtocolEvent(Event(output.kind, *stamps_of(payload)), characters=output.characters)
        case "message_stop":
            return END
        case "message_delta":
            finish = word_of(mapping(payload.get("delta")).get("stop_reason"))
            told = Usage(integer(mapping(payload.get("usage")).get("output_tokens")))
            return ProtocolEvent(Event("finish" if finish else "meta", *stamps_of(payload)), usage=told, finish=finish)
        case "message_start":
            tier = text(mapping(mapping(payload.get("message")).get("usage")).get("service_tier"))
            return ProtocolEvent(Event("meta", *stamps_of(payload)), tier=tier)
        case "ping":
            return ProtocolEvent(Event("ping"))
        case _:
            return ProtocolEvent(Event("meta", *stamps_of(payload)))


def _is_whole(payload: Json) -> bool:
    return payload.get("type") == "message"


ANTHROPIC_MESSAGES = StreamProtocol(
    "/v1/messages",
    _body,
    _interpret,
    "message_stop",
    is_whole=_is_whole,
    headers={"anthropic-version": "2023-06-01"},
    key=KeyHeader("x-api-key", ""),
)
