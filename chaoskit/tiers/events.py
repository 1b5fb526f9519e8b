"""Reads the events of a model's answer: their bytes, their text, and whether it is complete."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from chaoskit.server.formats.api import data_event
from chaoskit.tiers.failures import CallError

_MOST = 16 << 20  # bytes of one event
_END = b"\n\n"
_DONE = b"[DONE]"
_TEXTS = ("content", "reasoning_content", "reasoning", "tool_calls")


@dataclass(frozen=True)
class AnswerEvent:
    """One event of an OpenAI-compatible stream, as its bytes, and what it has."""

    raw: bytes
    has_token: bool
    text: str
    is_error: bool
    is_done: bool

    def counting(self, more: int) -> AnswerEvent:
        """The same, whose usage, if it has one, counts so many tokens more: those that another model has sent."""
        if not more or b'"completion_tokens"' not in self.raw:
            return self
        found = json.loads(self.raw.partition(b"data:")[2])
        for key in ("completion_tokens", "total_tokens"):
            if isinstance(found.get("usage"), dict) and isinstance(found["usage"].get(key), int):
                found["usage"][key] += more
        return replace(self, raw=data_event(found))


class EventReader:
    """Splits a stream into events."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, data: bytes) -> list[AnswerEvent]:
        """The events that these bytes complete. Raises CallError."""
        *whole, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(_END)
        if len(self._rest) > _MOST:
            raise CallError("too-large", f"an event of more than {_MOST >> 20} MiB")
        return [_event(each + _END) for each in whole if each]


def _event(raw: bytes) -> AnswerEvent:
    data = b"\n".join(line[5:].strip() for line in raw.split(b"\n") if line.startswith(b"data:"))
    if data == _DONE:
        return AnswerEvent(raw, has_token=False, text="", is_error=False, is_done=True)
    try:
        found = json.loads(data) if data else {}
    except ValueError:
        found = {}
    delta = _delta(found)
    text = delta.get("content")
    return AnswerEvent(
        raw,
        has_token=any(delta.get(key) for key in _TEXTS),
        text=text if isinstance(text, str) else "",
        is_error=isinstance(found, dict) and "error" in found,
        is_done=False,
    )


def _delta(found: Any) -> dict[str, Any]:
    """What the first choice adds."""
    match found:
        case {"choices": [{"delta": dict() as delta}, *_]}:
            return delta
        case _:
            return {}
