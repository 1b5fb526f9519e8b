"""OpenAI's chat completions, which most servers speak.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import NO_USAGE, Json, ProtocolEvent, Usage, integer, mapping, stamps_of, text
from chaoskit.probe.protocols.finish_reasons import word_of
from chaoskit.probe.protocols.output import of_delta, of_text
from chaoskit.probe.protocols.stream_protocol import Question, StreamProtocol
from chaoskit.records.model import Event


def _body(question: Question) -> Json:
    messages = [{"role": role, "content": content} for role, content in question.messages]
    return {"model": question.model, "messages": messages, "max_tokens": question.max_tokens, "stream": True}


def interpret(payload: Json) -> ProtocolEvent:
    """One chunk: its choice has a delta or, in the older completions, a text; one without a choice tells the usage."""
    choice = _choice(payload)
    delta = choice.get("delta")
    output = of_delta(delta) if isinstance(delta, dict) else of_text(choice.get("text"))
    finish = word_of(choice.get("finish_reason"))
    return ProtocolEvent(
        Event("finish" if finish and output.kind == "meta" else output.kind, *stamps_of(payload)),
        is_finish=bool(finish),
        usage=usage_of(payload) if payload.get("usage") else NO_USAGE,
        finish=finish,
        choice=integer(choice.get("index")) or 0,
        characters=output.characters,
        is_refusal=bool(mapping(delta).get("refusal")),
        tier=text(payload.get("service_tier")),
    )


def usage_of(payload: Json) -> Usage:
    """What a chunk says of the tokens so far."""
    usage = mapping(payload.get("usage"))
    hidden = integer(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    return Usage(integer(usage.get("completion_tokens")), hidden or 0)


def _choice(payload: Json) -> Json:
    choices = payload.get("choices")
    return mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _is_whole(payload: Json) -> bool:
    choice = _choice(payload)
    return "message" in choice and not choice.get("delta")


OPENAI_CHAT = StreamProtocol("/v1/chat/completions", _body, interpret, is_whole=_is_whole)
