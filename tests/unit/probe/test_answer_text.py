"""The text of an answer that a conversation repeats, in every protocol."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from chaoskit.probe.protocols.response_parser import ResponseParser
from chaoskit.spec.workload import Protocol

EVENTS: dict[Protocol, list[object]] = {
    "openai-chat": [
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"reasoning_content": "hm"}}]},
        {"choices": [{"delta": {"content": "Good "}}]},
        {"choices": [{"delta": {"content": [{"type": "text", "text": "day"}]}, "finish_reason": "stop"}]},
    ],
    "openai-completions": [
        {"choices": [{"text": "Good "}]},
        {"choices": [{"text": "day", "finish_reason": "stop"}]},
    ],
    "openai-responses": [
        {"type": "response.reasoning_text.delta", "delta": "hm"},
        {"type": "response.output_text.delta", "delta": "Good "},
        {"type": "response.output_text.delta", "delta": "day"},
        {"type": "response.completed", "response": {"status": "completed"}},
    ],
    "anthropic-messages": [
        {"type": "message_start", "message": {"content": []}},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Good "}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "day"}},
        {"type": "message_stop"},
    ],
    "gemini": [
        {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "Good "}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "day"}]}, "finishReason": "STOP"}]},
    ],
    "ollama": [
        {"message": {"content": "", "thinking": "hm"}, "done": False},
        {"message": {"content": "Good "}, "done": False},
        {"message": {"content": "day"}, "done": True},
    ],
    "ollama-generate": [{"response": "Good ", "done": False}, {"response": "day", "done": True}],
    "sse": ["Good ", "day"],
}


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_the_answer_is_the_text_without_reasoning(protocol: Protocol) -> None:
    """Put together from its events, however they are cut; and not kept where nobody needs it."""
    said = [event if isinstance(event, str) else json.dumps(event) for event in EVENTS[protocol]]
    frame = "{}\n" if protocol.startswith("ollama") else "data: {}\n\n"
    raw = "".join(frame.format(each) for each in said).encode()

    for size in (1, 7, len(raw)):
        texts = []
        for keeps_text in (True, False):
            parser = ResponseParser(protocol, 10**6, keeps_text=keeps_text)
            cuts = (raw[at : at + size] for at in range(0, len(raw), size))
            texts.append("".join(event.text for cut in cuts for event in parser.feed(cut)))

        assert texts == ["Good day", ""]
