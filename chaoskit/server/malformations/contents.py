"""Streams that end well, with content that is unusual, missing, or under a wrong content type."""

from __future__ import annotations

from typing import Any

from chaoskit.server.formats.api import Api
from chaoskit.server.malformations.malformation import (
    IN_JSON,
    LAST,
    Malformation,
    Payload,
    change_text,
    changed,
    none,
    tenth,
)

_CHAT = ("openai-chat",)
_THOUGHTS = 5  # events of reasoning, before those with text
_LARGE = 3_000_000  # bytes


def _empty_every_other(data: bytes, number: int) -> bytes:
    if number == LAST or number % 2 == 0:
        return data
    return changed(data, lambda payload: change_text(payload, lambda _: ""))


def _delta(data: bytes, number: int, thought: Any, said: Any) -> bytes:
    """Chat's delta with its text in another form: as `thought` makes it in the first events, then as `said` does."""

    def change(payload: Payload) -> None:
        for choice in payload.get("choices", []):
            text = choice["delta"].get("content")
            make = thought if number < _THOUGHTS else said
            if text and make is not None:
                del choice["delta"]["content"]
                choice["delta"] |= make(text)

    return data if number == LAST else changed(data, change)


def _list(data: bytes, number: int) -> bytes:
    return _delta(
        data,
        number,
        lambda text: {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]},
        lambda text: {"content": [{"type": "text", "text": text}]},
    )


def _details(data: bytes, number: int) -> bytes:
    detail = {"type": "reasoning.text", "format": "unknown", "index": 0}
    return _delta(data, number, lambda text: {"reasoning_details": [{**detail, "text": text}]}, None)


def _reasoning(data: bytes, number: int) -> bytes:
    return _delta(data, number, lambda text: {"content": "", "reasoning": text}, None)


def _audio(data: bytes, number: int) -> bytes:
    def speak(text: str) -> Payload:
        return {"audio": {"id": "audio_1", "data": "UklGRg==", "transcript": text}}

    return _delta(data, number, speak, speak)


def _image(data: bytes, number: int) -> bytes:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    return _delta(data, number, lambda _: {"images": [picture]}, None)


def _refusal(data: bytes, number: int) -> bytes:
    return _delta(data, number, lambda text: {"refusal": text}, lambda text: {"refusal": text})


def _large(data: bytes, number: int) -> bytes:
    return changed(data, lambda payload: payload.update(padding="x" * _LARGE)) if number == 1 else data


def _cut_json(data: bytes, number: int) -> bytes:
    return data[: len(data.rstrip()) // 2] + (b"\n\n" if data.endswith(b"\n\n") else b"\n") if number == 1 else data


def _accents(data: bytes, number: int) -> bytes:
    return data if number == LAST else changed(data, lambda payload: change_text(payload, lambda text: f"é{text}…"))


def _invalid_utf8(data: bytes, number: int) -> bytes:
    if number != 1:
        return data
    return changed(data, lambda payload: change_text(payload, lambda _: "\N{SNOWMAN}")).replace(
        "\N{SNOWMAN}".encode(), b"\xff\xfe"
    )


def _comments_only(_api: Api, _data: bytes) -> bytes:
    return b": keepalive\n\n" * 3


CONTENTS = (
    Malformation("empty", "Ends well, without a token.", shortened=none, finish="stop"),
    Malformation("short", "Ends well, after a tenth of the tokens.", shortened=tenth, finish="stop"),
    Malformation("comments-only", "Three comments and nothing else.", breaks_after=none, closing=_comments_only),
    Malformation(
        "empty-deltas", 'Every other token is `""`, as for half a UTF-8 character.', IN_JSON, rewrite=_empty_every_other
    ),
    Malformation(
        "content-list", "`content` is a list with `thinking`, then text, as from Mistral.", _CHAT, rewrite=_list
    ),
    Malformation("reasoning-details", "Reasoning in `reasoning_details`, as from OpenRouter.", _CHAT, rewrite=_details),
    Malformation("reasoning-field", "Reasoning in `reasoning`, as from vLLM.", _CHAT, rewrite=_reasoning),
    Malformation("audio", "Audio with a transcript in place of text.", _CHAT, rewrite=_audio),
    Malformation("images", "Images first, then text.", _CHAT, rewrite=_image),
    Malformation("refusal", "The model's `refusal` in place of `content`.", _CHAT, rewrite=_refusal),
    Malformation("large-event", "One event of 3 MB.", IN_JSON, rewrite=_large),
    Malformation("not-json", "One event breaks off within its JSON.", IN_JSON, rewrite=_cut_json),
    Malformation(
        "split-utf8", "Characters of several bytes, cut by writes of seven bytes.", IN_JSON, rewrite=_accents, pieces=7
    ),
    Malformation("invalid-utf8", "One event with bytes that are no UTF-8.", IN_JSON, rewrite=_invalid_utf8),
    Malformation("type-text", "The stream as `text/plain`.", content_type="text/plain; charset=utf-8"),
    Malformation("type-json", "The stream as `application/json`.", content_type="application/json"),
    Malformation("type-octets", "The stream as `application/octet-stream`.", content_type="application/octet-stream"),
    Malformation(
        "type-event-stream", "The stream as `text/event-stream`, NDJSON too.", content_type="text/event-stream"
    ),
    Malformation("type-missing", "The stream without a content type.", content_type=""),
)
