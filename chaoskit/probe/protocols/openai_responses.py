"""OpenAI's responses: events with a type, of which `*.delta` carry output.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from chaoskit.probe.protocols.error_messages import sentence_in
from chaoskit.probe.protocols.events import Json, ProtocolEvent, Usage, integer, mapping, stamps_of, text
from chaoskit.probe.protocols.finish_reasons import word_of
from chaoskit.probe.protocols.output import NOTHING, Output, of_text
from chaoskit.probe.protocols.stream_protocol import Question, StreamProtocol
from chaoskit.records.model import Event


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
    name = text(payload.get("type"))
    stamps = stamps_of(payload)
    response = mapping(payload.get("response"))
    tier = text(response.get("service_tier"))
    match name:
        case "response.completed" | "response.done":
            usage = _usage(response)
            return ProtocolEvent(Event("done", *stamps), completes=True, usage=usage, finish="completed", tier=tier)
        case "response.incomplete":
            why = word_of(mapping(response.get("incomplete_details")).get("reason")) or "incomplete"
            usage = _usage(response)
            return ProtocolEvent(Event("done", *stamps), completes=True, usage=usage, finish=why, tier=tier)
        case "response.failed" | "response.cancelled":
            return ProtocolEvent(Event("error", *stamps), error_message=sentence_in(response.get("error")) or name)
    output = _output(name, payload)
    is_refusal = name == "response.refusal.delta"
    return ProtocolEvent(Event(output.kind, *stamps), characters=output.characters, is_refusal=is_refusal, tier=tier)


def _output(name: str, payload: Json) -> Output:
    """Of the many kinds of events, those whose name ends in `.delta` carry output, and partial images."""
    if name.endswith("partial_image"):
        return Output("media")
    if not name.endswith(".delta") or not payload.get("delta"):
        return NOTHING
    if "audio" in name and "transcript" not in name:
        return Output("media")
    return of_text(payload["delta"], "reasoning" if "reasoning" in name else "content")


def _usage(response: Json) -> Usage:
    usage = mapping(response.get("usage"))
    hidden = integer(mapping(usage.get("output_tokens_details")).get("reasoning_tokens"))
    return Usage(integer(usage.get("output_tokens")), hidden or 0)


def _is_whole(payload: Json) -> bool:
    return payload.get("object") == "response" or "output" in payload


OPENAI_RESPONSES = StreamProtocol("/v1/responses", _body, _interpret, "response.completed", is_whole=_is_whole)
