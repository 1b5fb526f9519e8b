"""Google's Gemini, whose stream is server-sent events only with `alt=sse`.

Source: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import Json, ProtocolEvent, Usage, integer, listed, mapping, stamps_of
from chaoskit.probe.protocols.finish_reasons import word_of
from chaoskit.probe.protocols.output import Output, of_text, strongest
from chaoskit.probe.protocols.stream_protocol import KeyHeader, Question, StreamProtocol
from chaoskit.records.model import Event

_ROLES = {"user": "user", "assistant": "model"}


def _body(question: Question) -> Json:
    contents = [{"role": _ROLES[role], "parts": [{"text": content}]} for role, content in question.turns]
    system = {"systemInstruction": {"parts": [{"text": question.system}]}} if question.system else {}
    return {**system, "contents": contents, "generationConfig": {"maxOutputTokens": question.max_tokens}}


def _interpret(payload: Json) -> ProtocolEvent:
    candidates = listed(payload.get("candidates"))
    candidate = mapping(candidates[0]) if candidates else {}
    blocked = "" if candidates else word_of(mapping(payload.get("promptFeedback")).get("blockReason"))
    finish = word_of(candidate.get("finishReason")) or blocked
    output = strongest(_of_part(mapping(part)) for part in listed(mapping(candidate.get("content")).get("parts")))
    return ProtocolEvent(
        Event("finish" if finish and output.kind == "meta" else output.kind, *stamps_of(payload)),
        is_finish=bool(finish),
        usage=_usage(payload),
        finish=finish,
        choice=integer(candidate.get("index")) or 0,
        characters=output.characters,
    )


def _of_part(part: Json) -> Output:
    if part.get("inlineData") or part.get("fileData"):
        return Output("media")
    if part.get("functionCall") or part.get("executableCode") or part.get("codeExecutionResult"):
        return Output("content", len(str(part)))
    return of_text(part.get("text"), "reasoning" if part.get("thought") else "content")


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
