"""Finds the text of an answer, without reasoning, in an event of any protocol.

| protocol                                    | where                                             |
|---------------------------------------------|---------------------------------------------------|
| `openai-chat`                               | `choices[0].delta.content`, a text or parts       |
| `openai-completions`                        | `choices[0].text`                                 |
| `openai-responses`                          | `delta` of `response.output_text.delta`           |
| `anthropic-messages`                        | `delta.text` of `content_block_delta`             |
| `gemini`                                    | `candidates[0].content.parts[].text`, no thoughts |
| `ollama`, `ollama-generate`                 | `message.content`, `response`                     |
"""

from __future__ import annotations

from chaoskit.probe.protocols.events import Json, mapping

_OUTPUT_TEXT = "response.output_text.delta"


def answer_text(payload: Json) -> str:
    """The text that this event adds to the answer; "" if it adds none."""
    if payload.get("type") == _OUTPUT_TEXT:
        return _text(payload.get("delta"))
    choice = mapping(_first(payload.get("choices")))
    candidate = mapping(_first(payload.get("candidates")))
    places = (
        mapping(choice.get("delta")).get("content"),
        choice.get("text"),
        mapping(payload.get("delta")).get("text"),
        mapping(candidate.get("content")).get("parts"),
        mapping(payload.get("message")).get("content"),
        payload.get("response"),
    )
    return "".join(map(_text, places))


def _text(value: object) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(value, list):
        parts = (part for part in value if isinstance(part, dict) and not part.get("thought"))
        return "".join(_text(part.get("text")) for part in parts)
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None
