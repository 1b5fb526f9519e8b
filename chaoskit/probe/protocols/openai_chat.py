"""OpenAI's chat completions, which most servers speak.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import Json, ProtocolEvent, Usage, first, integer, mapping, stamps_of
from chaoskit.probe.protocols.stream_protocol import Question, StreamProtocol
from chaoskit.records.model import Event, EventKind


def _body(question: Question) -> Json:
    messages = [{"role": role, "content": content} for role, content in question.messages]
    return {"model": question.model, "messages": messages, "max_tokens": question.max_tokens, "stream": True}


def interpret(payload: Json) -> ProtocolEvent:
    """One chunk."""
    choice = mapping(first(payload.get("choices")))
    delta = mapping(choice.get("delta"))
    finish = choice.get("finish_reason")
    kind: EventKind = "finish" if finish else "meta"
    if delta.get("content") or delta.get("tool_calls") or delta.get("refusal") or choice.get("text"):
        kind = "content"
    elif delta.get("reasoning_content") or delta.get("reasoning"):
        kind = "reasoning"
    return ProtocolEvent(Event(kind, *stamps_of(payload)), completes=bool(finish), usage=usage_of(payload))


def usage_of(payload: Json) -> Usage:
    """What a chunk says of the tokens so far."""
    usage = mapping(payload.get("usage"))
    hidden = integer(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    return Usage(integer(usage.get("completion_tokens")), hidden or 0)


OPENAI_CHAT = StreamProtocol("/v1/chat/completions", _body, interpret, "[DONE]")
