"""The vendors' Python SDKs stream from the server, and parse its errors."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import pytest
from serving import SCRIPT, Running, running

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


def test_openai_completions_stream(server: Running) -> None:
    """`openai` gets the same text from the completions API, streamed and whole."""
    with an_openai(server) as client:
        asked: Any = {"model": "m", "prompt": "hi", "max_tokens": 30, "extra_headers": HEADERS}
        chunks = list(client.completions.create(stream=True, stream_options={"include_usage": True}, **asked))
        whole = client.completions.create(**asked)

    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == TEXT == whole.choices[0].text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 30
    assert whole.choices[0].finish_reason == "length"


def test_openai_responses_stream(server: Running) -> None:
    """`openai` assembles a response from its events; with a limit it is incomplete, streamed and whole."""
    with an_openai(server) as client:
        asked: Any = {"model": "m", "input": "hi", "extra_headers": HEADERS}
        with client.responses.stream(**asked) as stream:
            pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
            assembled = stream.get_final_response()
        last = list(client.responses.create(**asked, max_output_tokens=30, stream=True))[-1]
        whole = client.responses.create(**asked, max_output_tokens=30)

    assert len(pieces) == 100
    assert "".join(pieces) == SCRIPT.plan(100, "stream", 3).whole() == assembled.output_text
    assert assembled.usage is not None
    assert (assembled.usage.output_tokens, assembled.status) == (100, "completed")
    assert last.type == "response.incomplete"
    assert last.response.output_text == TEXT == whole.output_text
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"


TOOL: Any = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}},
        "required": ["city", "days", "unit"],
    },
}


def test_openai_calls_a_tool(server: Running) -> None:
    """`openai` assembles a call whose arguments fit the schema, in chat and responses; then it gets the answer."""
    with an_openai(server) as client:
        chat: Any = {"model": "m", "max_completion_tokens": 30, "extra_headers": HEADERS}
        tools: Any = [{"type": "function", "function": TOOL}]
        with client.chat.completions.stream(messages=HI, tools=tools, **chat) as stream:
            deltas = [each.arguments_delta for each in stream if each.type == "tool_calls.function.arguments.delta"]
            choice = stream.get_final_completion().choices[0]
        answered: Any = [*HI, choice.message.model_dump(), {"role": "tool", "tool_call_id": "x", "content": "sunny"}]
        after = client.chat.completions.create(messages=answered, tools=tools, **chat)
        functions: Any = [{"type": "function", **TOOL}]
        response = client.responses.create(
            model="m", input="hi", tools=functions, max_output_tokens=30, extra_headers=HEADERS
        )

    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": TEXT, "days": 1, "unit": "C"}
    assert len([delta for delta in deltas if delta]) == 30
    assert after.choices[0].message.content == TEXT
    (item,) = response.output
    assert item.type == "function_call"
    assert json.loads(item.arguments)["city"] == TEXT


def test_anthropic_calls_a_tool_and_thinks(tmp_path: Path) -> None:
    """`anthropic` assembles a thinking block and a tool's input."""
    tool: Any = {"name": "weather", "input_schema": TOOL["parameters"]}
    with (
        running(tmp_path, replace(SCRIPT, reasoning_tokens=10)) as server,
        an_anthropic(server) as client,
        client.messages.stream(model="m", messages=HI, max_tokens=30, tools=[tool], extra_headers=HEADERS) as stream,
    ):
        thinking, call = stream.get_final_message().content

    assert thinking.type == "thinking"
    assert len(thinking.thinking.split()) == 10
    assert thinking.signature
    assert call.type == "tool_use"
    assert isinstance(call.input, dict)
    assert thinking.thinking + str(call.input["city"]) == TEXT


def test_openai_counts_reasoning(tmp_path: Path) -> None:
    """Reasoning tokens are part of the output tokens, and counted for themselves."""
    with running(tmp_path, replace(SCRIPT, reasoning_tokens=10)) as server, an_openai(server) as client:
        answer = client.chat.completions.create(model="m", messages=HI, max_tokens=30, extra_headers=HEADERS)

    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert (answer.usage.completion_tokens, answer.usage.completion_tokens_details.reasoning_tokens) == (30, 10)
    message = answer.choices[0].message
    assert message.content is not None
    assert message.model_extra is not None
    assert message.model_extra["reasoning_content"] + message.content == TEXT


def test_anthropic_counts_tokens_and_lists_models(server: Running) -> None:
    """`anthropic` gets a count, and the one model in its own shape."""
    with an_anthropic(server) as client:
        count = client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "x" * 400}])
        (model,) = client.models.list()
        claude = client.models.retrieve("claude")

    assert count.input_tokens == 100
    assert (model.id, claude.id) == (MODEL, "claude")


def test_ollama_generates_and_shows(server: Running) -> None:
    """`ollama` generates, calls a tool, and finds the model, its context and the server's version."""
    client = ollama.Client(host=server.url, headers=HEADERS)
    parts = list(client.generate(model="m", prompt="hi", stream=True, options={"num_predict": 30}))
    called = client.chat(
        model="m", messages=HI, tools=[{"type": "function", "function": TOOL}], options={"num_predict": 30}
    )
    (model,) = client.list().models
    shown = client.show(MODEL)
    client._client.close()

    assert "".join(part.response or "" for part in parts) == TEXT
    assert (parts[-1].done_reason, parts[-1].eval_count) == ("length", 30)
    assert parts[-1].eval_duration == 29 * SCRIPT.token_interval
    assert called.message.tool_calls is not None
    assert called.message.tool_calls[0].function.arguments == {"city": TEXT, "days": 1, "unit": "C"}
    assert model.model == MODEL
    assert shown.capabilities is not None
    assert "tools" in shown.capabilities


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
