"""Builds the JSON body of a request, and learns from a refusal what a server does not take.

| refused                                        | asked again                                        |
|------------------------------------------------|----------------------------------------------------|
| `max_tokens`, naming `max_completion_tokens`   | with `max_completion_tokens`                       |
| `stream_options`, by its name                  | without it: events are counted, not tokens         |

Rules: the extra body is merged last (RFC 7396: objects key by key, null removes a field), and what it gives is never
changed; a field that it gives by its other name replaces ours; each change is made once for all later requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.stream_protocol import Question
from chaoskit.probe.target import Target
from chaoskit.spec.workload import Protocol, Workload

Json = dict[str, Any]
_REFUSALS = (400, 422)
_MAX_TOKENS, _NEW_NAME, _USAGE = "max_tokens", "max_completion_tokens", "stream_options"
_TELL_USAGE_IF_ASKED: tuple[Protocol, ...] = ("openai-chat", "openai-completions")


class BodyBuilder:
    """Builds the bodies of one drive."""

    def __init__(self, target: Target, workload: Workload) -> None:
        self._protocol = PROTOCOLS[workload.protocol]
        self._extra = workload.extra_body
        self._asks_usage = target.asks_usage and workload.protocol in _TELL_USAGE_IF_ASKED
        self._is_renamed = workload.protocol == "openai-chat" and self._extra.get(_NEW_NAME) is not None

    def body(self, question: Question) -> Json:
        """The body that asks this."""
        body = self._protocol.body(question)
        if self._asks_usage:
            body[_USAGE] = {"include_usage": True}
        if self._is_renamed:
            body[_NEW_NAME] = body.pop(_MAX_TOKENS)
        return merged(body, self._extra)

    def asks_stream(self, question: Question) -> bool:
        """Whether the body asks for a stream, after the extra body: some protocols do it by their path."""
        is_default = self._protocol.framing == "ndjson" or "stream" not in self._protocol.body(question)
        return bool(self.body(question).get("stream", is_default))

    def learn(self, sent: Json, status: int, refusal: str) -> str:
        """What to ask otherwise after this refusal, and says so: "with max_completion_tokens"; "" for nothing."""
        if status not in _REFUSALS:
            return ""
        if _NEW_NAME in refusal and _MAX_TOKENS in sent and _MAX_TOKENS not in self._extra:
            self._is_renamed = True
            return f"with {_NEW_NAME}"
        if _USAGE in refusal and _USAGE in sent and _USAGE not in self._extra:
            self._asks_usage = False
            return f"without {_USAGE}"
        return ""


def merged(body: Mapping[str, Any], patch: Mapping[str, Any]) -> Json:
    """JSON Merge Patch (RFC 7396): objects are merged key by key, null removes a field, all else replaces it."""
    result = dict(body)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            inside = result.get(name)
            result[name] = merged(inside if isinstance(inside, Mapping) else {}, value)
        else:
            result[name] = value
    return result
