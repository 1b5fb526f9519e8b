"""Tells text, reasoning and other output apart, in all the shapes in which servers send them.

| kind        | what it is                                                                                        |
|-------------|---------------------------------------------------------------------------------------------------|
| `content`   | text for the user: an answer, a refusal, a tool call's arguments, the transcript of audio         |
| `reasoning` | text of a model's thinking                                                                        |
| `media`     | output that is no text: a piece of audio, an image                                                |
| `meta`      | nothing of these: a role, an empty text, a signature; half a UTF-8 character, which vLLM sends "" |
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from chaoskit.probe.protocols.events import Json, listed, mapping, text
from chaoskit.records.model import EventKind

_MEDIA_PARTS = ("image", "image_url", "output_image", "audio", "output_audio", "input_audio", "video", "file")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thought")
_OUTPUTS = ("content", "refusal", "tool_calls", "function_call", "audio", "images")


class Output(NamedTuple):
    """What an event carries, and how many characters of text."""

    kind: EventKind
    characters: int = 0


NOTHING = Output("meta")


def strongest(outputs: Iterable[Output]) -> Output:
    """Of several parts of one event: text before media before reasoning before nothing."""
    found: dict[EventKind, int] = {}
    for kind, characters in outputs:
        found[kind] = found.get(kind, 0) + characters
    kinds: tuple[EventKind, ...] = ("content", "media", "reasoning")
    return next((Output(kind, sum(found.values())) for kind in kinds if kind in found), NOTHING)


def of_text(value: object, kind: EventKind = "content") -> Output:
    """A text, or a list of typed parts as Mistral and others send it."""
    if isinstance(value, str):
        return Output(kind, len(value)) if value else NOTHING
    parts = [value] if isinstance(value, dict) else listed(value)
    return strongest(_of_part(part, kind) for part in parts)


def of_delta(delta: Json) -> Output:
    """A delta of OpenAI's chat completions, with what other vendors add to it."""
    content = delta.get("content")
    if isinstance(content, str) and content:
        return Output("content", len(content))
    thought = delta.get("reasoning_content") or delta.get("reasoning")
    if isinstance(thought, str) and thought and not any(map(delta.get, _OUTPUTS)):
        return Output("reasoning", len(thought))
    return strongest(
        (
            of_text(content),
            of_text(delta.get("refusal")),
            *map(_of_tool_call, listed(delta.get("tool_calls"))),
            _of_tool_call({"function": delta.get("function_call")}),
            *_of_audio(mapping(delta.get("audio"))),
            Output("media") if listed(delta.get("images")) else NOTHING,
            *(of_text(delta.get(name), "reasoning") for name in _THOUGHTS),
            *(_of_reasoning_detail(mapping(each)) for each in listed(delta.get("reasoning_details"))),
            *(of_text(mapping(each).get("thinking"), "reasoning") for each in listed(delta.get("thinking_blocks"))),
        )
    )


def _of_part(part: object, kind: EventKind) -> Output:
    if isinstance(part, str):
        return of_text(part, kind)
    fields = mapping(part)
    if fields.get("type") in _MEDIA_PARTS:
        return Output("media")
    for name in ("thinking", "reasoning", "summary"):
        if fields.get(name):
            return of_text(fields[name], "reasoning")
    return of_text(text(fields.get("text")) or text(fields.get("refusal")), kind)


def _of_tool_call(call: object) -> Output:
    fields = mapping(call)
    if not fields:
        return NOTHING
    function = fields.get("function")
    if function is None and set(fields) == {"function"}:
        return NOTHING
    return Output("content", len(text(mapping(function).get("arguments"))) + len(text(mapping(function).get("name"))))


def _of_audio(audio: Json) -> tuple[Output, ...]:
    return of_text(audio.get("transcript")), Output("media") if audio.get("data") else NOTHING


def _of_reasoning_detail(detail: Json) -> Output:
    return of_text(detail.get("text") or detail.get("summary"), "reasoning")
