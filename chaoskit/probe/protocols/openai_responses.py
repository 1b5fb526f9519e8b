"""OpenAI's responses: events with a type, of which `*.delta` carry output.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import Json, ProtocolEvent, Usage, integer, mapping, stamps_of
from chaoskit.probe.protocols.stream_protocol import Question, StreamProtocol
from chaoskit.records.model import Event, EventKind


def _body(question: Question) -> Json:
    items = [{"role": role, "content": content} for role, content in question.messages]
    return {
        "model": question.model,
        "input": items,
        "max_output_tokens": question.max_tokens,
        "stream": True,
        "store": False,
    }


def _interpret(payload: Json) -> ProtocolEvent:
    kind = payload.get("type")
    name = kind if isinstance(kind, str) else ""
    stamps = stamps_of(payload)
    if name.endswith(".delta"):
        output: EventKind = "reasoning" if "reasoning" in name else "content"
        return ProtocolEvent(Event(output if payload.get("delta") else "meta", *stamps))
    if name in ("response.completed", "response.incomplete"):
        return ProtocolEvent(Event("done", *stamps), completes=True, usage=_usage(payload))
    if name == "response.failed":
        error = mapping(mapping(payload.get("response")).get("error"))
        message = error.get("message") or error.get("code")
        return ProtocolEvent(Event("error", *stamps), error_message=message if isinstance(message, str) else name)
    return ProtocolEvent(Event("meta", *stamps))


def _usage(payload: Json) -> Usage:
    usage = mapping(mapping(payload.get("response")).get("usage"))
    hidden = integer(mapping(usage.get("output_tokens_details")).get("reasoning_tokens"))
    return Usage(integer(usage.get("output_tokens")), hidden or 0)


OPENAI_RESPONSES = StreamProtocol("/v1/responses", _body, _interpret, "response.completed")
