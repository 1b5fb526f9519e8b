"""Ollama's two paths: `/api/chat` takes messages, `/api/generate` a prompt. Both stream NDJSON.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from dataclasses import replace

from chaoskit.probe.protocols.events import Json, ProtocolEvent, Usage, integer, mapping, stamps_of
from chaoskit.probe.protocols.finish_reasons import word_of
from chaoskit.probe.protocols.output import of_delta
from chaoskit.probe.protocols.stream_protocol import Question, StreamProtocol
from chaoskit.records.model import Event

_CONTENT_TYPES = ("application/x-ndjson", "application/json")
_END = '"done": true'


def _chat(question: Question) -> Json:
    messages = [{"role": role, "content": content} for role, content in question.messages]
    return {
        "model": question.model,
        "messages": messages,
        "options": {"num_predict": question.max_tokens},
        "stream": True,
    }


def _generate(question: Question) -> Json:
    system = {"system": question.system} if question.system else {}
    return {
        "model": question.model,
        **system,
        "prompt": "\n\n".join(message.content for message in question.turns),
        "options": {"num_predict": question.max_tokens},
        "stream": True,
    }


def _interpret(payload: Json) -> ProtocolEvent:
    is_done = payload.get("done") is True
    output = of_delta(mapping(payload.get("message")))
    if output.kind == "meta":
        output = of_delta({"content": payload.get("response"), "thinking": payload.get("thinking")})
    return ProtocolEvent(
        Event("done" if is_done and output.kind == "meta" else output.kind, *stamps_of(payload)),
        completes=is_done,
        usage=Usage(integer(payload.get("eval_count"))),
        finish=word_of(payload.get("done_reason")),
        characters=output.characters,
    )


OLLAMA = StreamProtocol(
    "/api/chat",
    _chat,
    _interpret,
    _END,
    tells_finish=False,  # before 0.3.9 it did not
    content_types=_CONTENT_TYPES,
    framing="ndjson",
)
OLLAMA_GENERATE = replace(OLLAMA, path="/api/generate", body=_generate)
