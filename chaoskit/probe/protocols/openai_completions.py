"""OpenAI's completions: a prompt instead of messages, `text` instead of a delta.

Source: https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import Json
from chaoskit.probe.protocols.openai_chat import interpret
from chaoskit.probe.protocols.stream_protocol import Question, StreamProtocol


def _body(question: Question) -> Json:
    return {
        "model": question.model,
        "prompt": question.transcript,
        "max_tokens": question.max_tokens,
        "stream": True,
    }


OPENAI_COMPLETIONS = StreamProtocol("/v1/completions", _body, interpret)
