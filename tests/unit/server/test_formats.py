"""Responses have the vendors' formats, whatever the name of the model."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.server import formats
from chaoskit.server.requests import CompletionRequest, Vendor

VENDORS: tuple[Vendor, ...] = ("openai", "anthropic", "ollama", "sse")


def ask(vendor: Vendor, model: str = "m", usage: bool = False, limited: bool = True) -> CompletionRequest:
    """A streamed response of two tokens."""
    return CompletionRequest(vendor, model, 2, limited, True, 5, usage)


def events(raw: bytes) -> list[Any]:
    """The JSON of each event or line; other text unchanged."""
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
def test_tokens_have_text_and_stamps(vendor: Vendor, model: str) -> None:
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
    """Events before the first and after the last token have no stamps and no text."""
    format_ = formats.format_of(ask(vendor), 1)

    assert b"chaoskit" not in format_.opening() + format_.closing()


def test_openai_ends_with_reason_usage_done() -> None:
    """The role comes first; at the end the finish reason, the usage if requested, and [DONE]."""
    plain, with_usage = formats.format_of(ask("openai"), 1), formats.format_of(ask("openai", usage=True), 1)

    assert events(plain.opening())[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    finish, done = events(plain.closing())
    assert (finish["choices"][0]["finish_reason"], done) == ("length", "[DONE]")
    assert "usage" not in finish
    finish, usage, done = events(with_usage.closing())
    assert (finish["usage"], usage["choices"], done) == (None, [], "[DONE]")
    assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_a_response_without_limit_has_reason_stop() -> None:
    """Without a limit of the client the finish reason is stop."""
    openai = formats.format_of(ask("openai", limited=False), 1)
    ollama = formats.format_of(ask("ollama", limited=False), 1)

    assert events(openai.closing())[0]["choices"][0]["finish_reason"] == "stop"
    assert events(ollama.closing())[0]["done_reason"] == "stop"


def test_anthropic_events_are_in_order() -> None:
    """A message's events come in the documented order, each with its type in the event and the data."""
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
def test_a_model_may_be_named_like_the_placeholder(vendor: Vendor) -> None:
    """A model whose name is the placeholder does not break the encoding."""
    (event,) = events(formats.format_of(ask(vendor, "\N{OBJECT REPLACEMENT CHARACTER}"), 1).token("word ", 0, 1, 2))

    assert "word " not in event.get("model", "")
