"""What the servers' words for the end of an answer mean.

| meaning     | words                                                                                            |
|-------------|--------------------------------------------------------------------------------------------------|
| `stopped`   | the model ended by itself, or a filter ended it: the answer is complete at any length            |
| `limited`   | the number of tokens asked, or the model's own limit, was reached                                |
| `failed`    | the generation broke: an interruption, whatever follows                                          |
| `unknown`   | any other word: complete, and shown                                                              |
"""

from __future__ import annotations

import re
from typing import Literal

Meaning = Literal["stopped", "limited", "failed", "unknown"]

REFUSED = "the model refused to answer"
_LIMITED = frozenset(
    ("length", "max_tokens", "max_output_tokens", "max_length", "model_length", "token_limit", "max_output")
)
_FILTERED = frozenset(
    (
        *("content_filter", "content_filtered", "safety", "sensitive", "guardrail_intervened"),
        *("recitation", "language", "blocklist", "prohibited_content", "spii", "image_safety"),
        *("image_prohibited_content", "image_recitation"),
    )
)
_STOPPED = _FILTERED | frozenset(
    (
        *("stop", "stopped", "stop_sequence", "stop_token", "eos", "eos_token", "end_turn", "end"),
        *("complete", "completed", "finish", "finished", "done", "normal", "load", "unload", "pause_turn"),
        *("tool_calls", "tool_call", "tool_use", "function_call", "function_calls"),
        *("refusal", "model_context_window_exceeded", "repetition"),
    )
)  # fmt: skip
_FAILURE = re.compile(
    r"(^|_)(error|errors|fail|failed|failure|abort|aborted|cancel|cancelled|canceled|timeout|timedout|insufficient"
    r"|overload|overloaded|unavailable|disconnect|disconnected|interrupted|exception|preempted|evicted|oom|malformed)(_|$)"
)
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def meaning(word: str) -> Meaning:
    """What this word means, however it is written."""
    plain = _plain(word)
    if plain in _LIMITED:
        return "limited"
    if plain in _STOPPED:
        return "stopped"
    return "failed" if _FAILURE.search(plain) else "unknown"


def why_withheld(word: str) -> str:
    """Who kept the rest of the answer back, as a sentence; "" for nobody."""
    plain = _plain(word)
    if plain in _FILTERED:
        return "a content filter ended the answer"
    return REFUSED if plain == "refusal" else ""


def word_of(value: object) -> str:
    """The word in an event; "" for null, and for the text "null", which some servers send until the end."""
    return value if isinstance(value, str) and value.strip().lower() not in ("", "null", "none") else ""


def _plain(word: str) -> str:
    return _INNER_CAPITAL.sub("_", word.strip()).replace("-", "_").replace(" ", "_").lower()
