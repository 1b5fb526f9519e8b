"""The vendors' Python SDKs stream from the server, and parse its errors."""

from typing import Any

import anthropic
import ollama
import openai
import pytest
from serving import SCRIPT, Running

from chaoskit.server.fields import MODEL

HI: Any = [{"role": "user", "content": "hi"}]
HEADERS = {"x-chaoskit-stream": "3"}
TEXT = SCRIPT.plan(30, "stream", 3).whole()


def an_openai(server: Running) -> openai.OpenAI:
    """The SDK's client for this server."""
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=10)


def an_anthropic(server: Running) -> anthropic.Anthropic:
    """The SDK's client for this server."""
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=10)


def test_openai_streams(server: Running) -> None:
    """`openai` gets every token, its stamps, the finish reason and the usage."""
    with an_openai(server) as client:
        chunks = list(
            client.chat.completions.create(
                model="m",
                messages=HI,
                max_tokens=30,
                stream=True,
                stream_options={"include_usage": True},
                extra_headers=HEADERS,
            )
        )

    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == TEXT
    assert choices[-1].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 30
    stamped = [extra["chaoskit"]["seq"] for chunk in chunks if "chaoskit" in (extra := chunk.model_extra or {})]
    assert stamped == list(range(30))


def test_openai_without_streaming(server: Running) -> None:
    """`openai` without a stream gets the whole text."""
    with an_openai(server) as client:
        answer = client.chat.completions.create(model="m", messages=HI, max_completion_tokens=30, extra_headers=HEADERS)

    assert answer.choices[0].message.content == TEXT
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 30


def test_openai_lists_models(server: Running) -> None:
    """`openai` finds the one model."""
    with an_openai(server) as client:
        assert [model.id for model in client.models.list()] == [MODEL]


def test_anthropic_streams(server: Running) -> None:
    """`anthropic` assembles the message from its events."""
    with (
        an_anthropic(server) as client,
        client.messages.stream(model="m", messages=HI, max_tokens=30, extra_headers=HEADERS) as stream,
    ):
        pieces = list(stream.text_stream)
        message = stream.get_final_message()

    assert len(pieces) == 30
    assert "".join(pieces) == TEXT
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 30


def test_anthropic_without_streaming(server: Running) -> None:
    """`anthropic` without a stream gets the whole text."""
    with an_anthropic(server) as client:
        message = client.messages.create(model="m", messages=HI, max_tokens=30, extra_headers=HEADERS)

    assert message.content[0].type == "text"
    assert message.content[0].text == TEXT


def test_ollama_streams(server: Running) -> None:
    """`ollama` gets every token and the end."""
    client = ollama.Client(host=server.url, headers=HEADERS)
    parts = list(client.chat(model="m", messages=HI, stream=True, options={"num_predict": 30}))
    client._client.close()  # it has no close of its own

    assert "".join(part.message.content or "" for part in parts) == TEXT
    assert [part.done for part in parts] == [False] * 30 + [True]
    assert parts[-1].done_reason == "length"


def test_ollama_without_streaming(server: Running) -> None:
    """`ollama` without a stream gets the whole text."""
    client = ollama.Client(host=server.url, headers=HEADERS)
    answer = client.chat(model="m", messages=HI, options={"num_predict": 30})
    client._client.close()

    assert answer.message.content == TEXT
    assert answer.eval_count == 30


def test_errors_are_parsed(server: Running) -> None:
    """Each SDK raises its own error, with this server's message."""
    with (
        an_openai(server) as client,
        pytest.raises(openai.BadRequestError, match="max_tokens: expected 1 to"),
    ):
        client.chat.completions.create(model="m", messages=HI, max_tokens=0)
    with (
        an_openai(server) as client,
        pytest.raises(openai.NotFoundError, match="there is no /v1/embeddings"),
    ):
        client.embeddings.create(model="m", input="x")
    with (
        an_anthropic(server) as claude,
        pytest.raises(anthropic.BadRequestError, match="max_tokens: expected 1 to"),
    ):
        claude.messages.create(model="m", messages=HI, max_tokens=0)
    llama = ollama.Client(host=server.url)
    with pytest.raises(ollama.ResponseError, match="num_predict: expected 1 to"):
        llama.chat(model="m", messages=HI, options={"num_predict": 0})
    llama._client.close()
