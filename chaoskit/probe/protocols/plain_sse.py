"""Server-sent events of any kind: the data of every event is content."""

from __future__ import annotations

from chaoskit.probe.protocols.events import Json
from chaoskit.probe.protocols.stream_protocol import Question, StreamProtocol


def _body(question: Question) -> Json:
    return {
        "model": question.model,
        "prompt": question.transcript,
        "max_tokens": question.max_tokens,
        "stream": True,
    }


PLAIN_SSE = StreamProtocol("/sse?tokens={tokens}", _body, None, tells_finish=False)
