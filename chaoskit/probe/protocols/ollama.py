"""Ollama's two paths: `/api/chat` takes messages, `/api/generate` a prompt. Both stream NDJSON.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import Json, ProtocolEvent, Usage, integer, mapping, stamps_of
from chaoskit.probe.protocols.stream_protocol import Question, StreamProtocol
from chaoskit.records.model import Event, EventKind

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
    message = mapping(payload.get("message"))
    is_done = payload.get("done") is True
    kind: EventKind = "done" if is_done else "meta"
    if message.get("content") or message.get("tool_calls") or payload.get("response"):
        kind = "content"
    elif message.get("thinking") or payload.get("thinking"):
        kind = "reasoning"
    told = Usage(integer(payload.get("eval_count")))
    return ProtocolEvent(Event(kind, *stamps_of(payload)), completes=is_done, usage=told)


OLLAMA = StreamProtocol("/api/chat", _chat, _interpret, _END, _CONTENT_TYPES, "ndjson")
OLLAMA_GENERATE = StreamProtocol("/api/generate", _generate, _interpret, _END, _CONTENT_TYPES, "ndjson")
