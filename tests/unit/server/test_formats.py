"""Answers look as the vendors' clients expect, whatever the model is called."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.server import formats
from chaoskit.server.requests import CompletionRequest, Vendor

VENDORS: tuple[Vendor, ...] = ("openai", "anthropic", "ollama", "sse")


def ask(vendor: Vendor, model: str = "m", usage: bool = False, limited: bool = True) -> CompletionRequest:
    """A streamed answer of two tokens."""
    return CompletionRequest(vendor, model, 2, limited, True, 5, usage)


def events(raw: bytes) -> list[Any]:
    """The JSON of each event or line; text that is none as it is."""
    found = []
    for line in raw.decode().split("\n"):
        text = line.removeprefix("data: ")
        if text.startswith("{"):
            found.append(json.loads(text))
        elif line.startswith("data: "):
            found.append(text)
    return found


@given(model=st.text())
@pytest.mark.parametrize("vendor", VENDORS)
def test_stamps_and_text_come_through(vendor: Vendor, model: str) -> None:
    """Each token's event holds its text, its number and both stamps, whatever the model's name."""
    raw = formats.format_of(ask(vendor, model), 1).token("word ", 3, 1000, 1234)

    if vendor == "sse":
        assert raw == b": chaoskit 3 1000 1234\ndata: word \n\n"
        return
    (event,) = events(raw)
    assert event.pop("chaoskit") == {"seq": 3, "due": 1000, "sent": 1234}
    text = {
        "openai": lambda: event["choices"][0]["delta"]["content"],
        "anthropic": lambda: event["delta"]["text"],
        "ollama": lambda: event["message"]["content"],
    }[vendor]()
    assert text == "word "
    assert event.get("model", model) == model


@pytest.mark.parametrize("vendor", VENDORS)
def test_only_tokens_are_stamped(vendor: Vendor) -> None:
    """What comes before the first and after the last token carries no stamps and no text."""
    format_ = formats.format_of(ask(vendor), 1)

    assert b"chaoskit" not in format_.opening() + format_.closing()


def test_openai_ends_with_reason_usage_done() -> None:
    """The role first; at the end the finish reason, the usage when asked for, and [DONE]."""
    plain, with_usage = formats.format_of(ask("openai"), 1), formats.format_of(ask("openai", usage=True), 1)

    assert events(plain.opening())[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    finish, done = events(plain.closing())
    assert (finish["choices"][0]["finish_reason"], done) == ("length", "[DONE]")
    assert "usage" not in finish
    finish, usage, done = events(with_usage.closing())
    assert (finish["usage"], usage["choices"], done) == (None, [], "[DONE]")
    assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_an_answer_without_limit_stops_by_itself() -> None:
    """Where the client set no limit, the answer ends because it is finished."""
    openai = formats.format_of(ask("openai", limited=False), 1)
    ollama = formats.format_of(ask("ollama", limited=False), 1)

    assert events(openai.closing())[0]["choices"][0]["finish_reason"] == "stop"
    assert events(ollama.closing())[0]["done_reason"] == "stop"


def test_anthropic_has_its_frame() -> None:
    """A message's events come in the documented order, each named twice."""
    format_ = formats.format_of(ask("anthropic"), 1)
    raw = format_.opening() + format_.token("a ", 0, 1, 2) + format_.closing()

    named = [line.removeprefix(b"event: ").decode() for line in raw.splitlines() if line.startswith(b"event: ")]

    assert named == [event["type"] for event in events(raw)]
    assert named == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_ollama_ends_with_done() -> None:
    """The last line, and only that, says done."""
    format_ = formats.format_of(ask("ollama"), 1)

    lines = events(format_.token("a ", 0, 1, 2) + format_.closing())

    assert [line["done"] for line in lines] == [False, True]
    assert lines[-1]["eval_count"] == 2


@pytest.mark.parametrize("vendor", VENDORS[:3])
def test_the_object_replacement_character_may_be_a_name(vendor: Vendor) -> None:
    """Not even a model called like the place holder confuses the token with the name."""
    (event,) = events(formats.format_of(ask(vendor, "\N{OBJECT REPLACEMENT CHARACTER}"), 1).token("word ", 0, 1, 2))

    assert "word " not in event.get("model", "")
