"""What clients ask beside completions is answered as by each vendor's server."""

import json
from typing import Any

import pytest

from chaoskit.server.fields import MODEL
from chaoskit.server.formats.api import CompletionRequest
from chaoskit.server.requests import Reply, Request
from chaoskit.server.routes import parse


def ask(method: str, path: str, body: Any = None, **headers: str) -> Any:
    """The JSON of a 200."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = parse(Request(method, path, fields, json.dumps(body).encode() if body is not None else b"", 0))
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert dict(reply.headers)["content-length"] == str(len(reply.body))
    return json.loads(reply.body)


def refused(method: str, path: str, body: Any) -> tuple[int, Any]:
    """The status and the JSON of an error."""
    reply = parse(Request(method, path, {}, json.dumps(body).encode(), 0))
    assert isinstance(reply, Reply)
    return reply.status, json.loads(reply.body)


def test_health_and_versions() -> None:
    """A health check and the versions that vLLM and Ollama have are there."""
    assert ask("GET", "/health") == {"status": "ok"}
    assert ask("GET", "/version").keys() == ask("GET", "/api/version").keys() == {"version"}


def test_models_have_three_shapes() -> None:
    """One path lists models as OpenAI, Anthropic or Gemini do, by the client's headers; any model exists."""
    openai = ask("GET", "/v1/models")
    anthropic = ask("GET", "/v1/models?limit=20", anthropic_version="2023-06-01")
    gemini = ask("GET", "/v1/models", x_goog_api_key="none")

    assert [each["id"] for each in openai["data"]] == [MODEL]
    assert anthropic["data"][0]["type"] == "model"
    assert gemini == ask("GET", "/v1beta/models")
    assert ask("GET", "/v1/models/meta-llama/Llama-3.1-8B")["id"] == "meta-llama/Llama-3.1-8B"
    assert ask("GET", "/v1/models/claude", anthropic_version="2023-06-01")["id"] == "claude"
    assert ask("GET", "/v1beta/models/gemini-3")["name"] == "models/gemini-3"


def test_ollama_tags_and_show() -> None:
    """Ollama's list and details name the model."""
    assert [each["model"] for each in ask("GET", "/api/tags")["models"]] == [MODEL]
    assert ask("POST", "/api/show", {"model": "m"})["details"]["format"] == "gguf"
    assert ask("POST", "/api/show", {"name": "m"})["capabilities"]
    assert refused("POST", "/api/show", {}) == (400, {"error": "model: field required"})


@pytest.mark.parametrize(
    "body",
    [{"model": "m", "prompt": "x" * 40}, {"content": "x" * 40}, {"messages": [{"role": "user", "content": "x" * 40}]}],
)
def test_tokenize_counts(body: Any) -> None:
    """vLLM's and llama.cpp's requests get as many tokens as the count says."""
    found = ask("POST", "/tokenize", body)

    assert found["count"] == len(found["tokens"]) == 10
    assert found["max_model_len"] > 10_000


def test_tokens_are_counted() -> None:
    """Anthropic's and Gemini's counts are those of the usage in their responses."""
    text = "x" * 80
    messages = {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    contents = {"contents": [{"parts": [{"text": text}]}]}
    completion = parse(Request("POST", "/v1/messages", {}, json.dumps(messages).encode(), 0))
    generation = parse(Request("POST", "/v1beta/models/m:generateContent", {}, json.dumps(contents).encode(), 0))

    assert isinstance(completion, CompletionRequest)
    assert isinstance(generation, CompletionRequest)
    assert (
        ask("POST", "/v1/messages/count_tokens", messages)
        == {"input_tokens": completion.prompt}
        == {"input_tokens": 20}
    )
    assert ask("POST", "/v1beta/models/m:countTokens", contents) == {"totalTokens": generation.prompt}


@pytest.mark.parametrize("said", ["hi", "word " * 20])
def test_every_api_counts_a_prompt_alike(said: str) -> None:
    """One text has one number of tokens, in the shapes of all APIs, in their usage and where tokens are counted."""
    part = [{"type": "text", "text": said}]
    chat = {"model": "m", "messages": [{"role": "user", "content": said}], "max_tokens": 1}
    listed = {"model": "m", "messages": [{"role": "user", "content": part}], "max_tokens": 1}
    gemini = {"contents": [{"role": "user", "parts": [{"text": said}]}]}
    asked = [
        *((path, body) for path in ("/v1/chat/completions", "/v1/messages", "/api/chat") for body in (chat, listed)),
        ("/v1/completions", {"model": "m", "prompt": said}),
        ("/v1/completions", {"model": "m", "prompt": [said]}),
        ("/v1/responses", {"model": "m", "input": said}),
        (
            "/v1/responses",
            {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": said}]}]},
        ),
        ("/api/generate", {"model": "m", "prompt": said}),
        ("/v1beta/models/m:generateContent", gemini),
    ]
    prompts = []
    for path, body in asked:
        found = parse(Request("POST", path, {}, json.dumps(body).encode(), 0))
        assert isinstance(found, CompletionRequest), path
        prompts.append(found.prompt)
    counts = [
        *(ask("POST", "/tokenize", body)["count"] for body in (chat, listed, {"prompt": said})),
        *(ask("POST", "/v1/messages/count_tokens", body)["input_tokens"] for body in (chat, listed)),
        ask("POST", "/v1beta/models/m:countTokens", gemini)["totalTokens"],
    ]

    assert {*prompts, *counts} == {max(1, len(said) // 4)}


def test_a_missing_field_is_refused_in_the_apis_shape() -> None:
    """Each error has the shape of its path's API."""
    assert refused("POST", "/tokenize", {})[1]["error"]["message"].startswith("prompt: field required")
    assert refused("POST", "/v1/messages/count_tokens", {"model": "m"})[1]["type"] == "error"
    status, gemini = refused("POST", "/v1/models/m:generateContent", {})
    assert (status, gemini["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert refused("POST", "/v1/completions", {"model": "m"})[1]["error"]["message"].startswith("prompt: ")
    assert refused("POST", "/v1/responses", {"model": "m"})[1]["error"]["message"].startswith("input: ")
    assert refused("POST", "/api/generate", {"model": "m"})[1] == {"error": "prompt: field required"}
