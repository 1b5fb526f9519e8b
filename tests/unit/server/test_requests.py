"""Requests are parsed, or refused in their vendor's format."""

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.server.formats import APIS
from chaoskit.server.formats.api import CompletionRequest
from chaoskit.server.requests import Reply, Request
from chaoskit.server.routes import parse

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "how are you today"}]}
PROMPT = {"model": "m", "prompt": "how are you today"}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "how are you today"}]}]}
PATHS = (
    "/v1/chat/completions",
    "/v1/messages",
    "/api/chat",
    "/sse",
    "/v1/models",
    "/v1/completions",
    "/v1/responses",
    "/api/generate",
    "/v1beta/models/m:streamGenerateContent",
    "/tokenize",
    "/api/show",
    "/health",
)


def post(path: str, body: Any, **headers: str) -> CompletionRequest | Reply:
    """The result of a POST with this body."""
    return parse(Request("POST", path, headers, json.dumps(body).encode(), 0))


def message(reply: CompletionRequest | Reply) -> str:
    """The error message in the vendor's format."""
    assert isinstance(reply, Reply)
    body = json.loads(reply.body)
    if isinstance(body["error"], str):
        return body["error"]
    return str(body["error"]["message"])


def test_every_vendor_is_parsed() -> None:
    """Each vendor's parameters for tokens and streaming are parsed to the same request."""
    openai = post("/v1/chat/completions", {**CHAT, "max_tokens": 9, "stream": True})
    newer = post("/v1/chat/completions", {**CHAT, "max_completion_tokens": 9, "max_tokens": 5, "stream": True})
    anthropic = post("/v1/messages?beta=true", {**CHAT, "max_tokens": 9, "stream": True})
    ollama = post("/api/chat", {**CHAT, "options": {"num_predict": 9}})
    sse = post("/sse?tokens=9", None)

    completions = post("/v1/completions", {**PROMPT, "max_tokens": 9, "stream": True})
    responses = post("/v1/responses", {"model": "m", "input": "hi", "max_output_tokens": 9, "stream": True})
    generate = post("/api/generate", {**PROMPT, "options": {"num_predict": 9}})
    gemini = post(
        "/v1beta/models/models%2Fm:streamGenerateContent?alt=sse",
        {**GEMINI, "generationConfig": {"maxOutputTokens": 9}},
    )

    found = [openai, completions, responses, anthropic, gemini, ollama, generate, sse]
    for ask in (*found, newer):
        assert isinstance(ask, CompletionRequest)
        assert (ask.tokens, ask.limited, ask.streamed) == (9, True, True)
    assert openai == newer
    assert [ask.api for ask in found if isinstance(ask, CompletionRequest)] == list(APIS)
    assert isinstance(gemini, CompletionRequest)
    assert (gemini.model, gemini.framed) == ("models/m", True)


def test_defaults_are_the_vendors() -> None:
    """OpenAI and Anthropic stream on request, Ollama by default; without a limit there are 100 tokens."""
    openai = post("/v1/chat/completions", CHAT)
    anthropic = post("/v1/messages", {**CHAT, "max_tokens": 3, "stream": None})
    ollama = post("/api/chat", {**CHAT, "stream": False})

    for ask in (openai, anthropic, ollama):
        assert isinstance(ask, CompletionRequest)
        assert not ask.streamed
    assert isinstance(openai, CompletionRequest)
    assert (openai.tokens, openai.limited) == (100, False)


def test_unused_fields_are_ignored() -> None:
    """Unused fields of a request change nothing."""
    plain = post("/v1/chat/completions", CHAT)

    assert post("/v1/chat/completions", {**CHAT, "temperature": 2, "tools": [], "x": {"y": 1}}) == plain


def test_usage_is_sent_on_request() -> None:
    """`stream_options.include_usage` is honoured, and off by default."""
    asked = post("/v1/chat/completions", {**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    silent = post("/v1/chat/completions", {**CHAT, "stream": True})

    assert isinstance(asked, CompletionRequest)
    assert isinstance(silent, CompletionRequest)
    assert (asked.usage, silent.usage) == (True, False)


def test_streams_are_numbered_by_their_header() -> None:
    """The stream's number comes from `x-chaoskit-stream`, on every path; anything but a number is refused."""
    for path in ("/v1/chat/completions", "/v1/messages", "/api/chat", "/sse"):
        body = {**CHAT, "max_tokens": 1}
        numbered = post(path, body, **{"x-chaoskit-stream": "17"})
        unnumbered = post(path, body)
        wrong = post(path, body, **{"x-chaoskit-stream": "-1x"})

        assert isinstance(numbered, CompletionRequest)
        assert isinstance(unnumbered, CompletionRequest)
        assert (numbered.stream, unnumbered.stream) == (17, None)
        assert "x-chaoskit-stream" in message(wrong)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"model": 3}, "model"),
        ({"model": None}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": 3}]}, "messages[0]"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"max_tokens": 0, "options": {"num_predict": 0}}, "1 to 100000"),
        ({"max_tokens": 100_001, "options": {"num_predict": 100_001}}, "1 to 100000"),
        ({"max_tokens": "9", "options": {"num_predict": "9"}}, "an integer"),
        ({"max_tokens": True, "options": {"num_predict": True}}, "an integer"),
        ({"max_tokens": 1.5, "options": {"num_predict": 1.5}}, "an integer"),
    ],
)
def test_wrong_types_are_refused(change: dict[str, Any], names: str) -> None:
    """A field of the wrong type or out of range is a 400 that names it, from every vendor."""
    for path in ("/v1/chat/completions", "/v1/messages", "/api/chat"):
        reply = post(path, {**CHAT, "max_tokens": 5, **change})

        assert isinstance(reply, Reply)
        assert reply.status == 400
        assert names in message(reply)


def test_anthropic_requires_a_limit() -> None:
    """Anthropic's `max_tokens` is required."""
    assert "max_tokens" in message(post("/v1/messages", CHAT))


@pytest.mark.parametrize("tokens", ["x", "-3", "0", "100001", "1e3", "٣", "9" * 5000])
def test_sse_requires_a_number(tokens: str) -> None:
    """`/sse?tokens=` takes an integer in range and nothing else."""
    assert "tokens" in message(post(f"/sse?tokens={tokens}", None))


def test_errors_have_the_vendors_format() -> None:
    """Each vendor's error has that vendor's format."""
    openai = parse(Request("POST", "/v1/chat/completions", {}, b"{", 0))
    anthropic = parse(Request("POST", "/v1/messages", {}, b"{", 0))
    ollama = parse(Request("POST", "/api/chat", {}, b"{", 0))

    assert isinstance(openai, Reply)
    assert isinstance(anthropic, Reply)
    assert isinstance(ollama, Reply)
    assert openai.status == anthropic.status == ollama.status == 400
    assert json.loads(openai.body)["error"].keys() == {"message", "type", "param", "code"}
    assert json.loads(anthropic.body)["type"] == "error"
    assert json.loads(anthropic.body)["error"].keys() == {"type", "message"}
    assert json.loads(ollama.body).keys() == {"error"}


def test_unknown_paths_and_methods() -> None:
    """An unknown path is a 404 in the nearest vendor's format; a wrong method is a 405 with the allowed ones."""
    for path in ("/x", "/v1/embeddings", "/v1/messages/batches", "/api/pull", "/sse/", "http://x/v1/nothing"):
        reply = parse(Request("GET", path, {}, b"", 0))
        assert isinstance(reply, Reply)
        assert reply.status == 404
        assert "known paths" in message(reply)
    for path in PATHS:
        reply = parse(Request("DELETE", path, {}, b"", 0))
        assert isinstance(reply, Reply)
        assert reply.status == 405
        assert dict(reply.headers)["allow"] in ("POST", "GET", "GET, POST")
    head = parse(Request("HEAD", "/v1/chat/completions", {}, b"", 0))
    assert isinstance(head, Reply)
    assert head.status == 405


@given(path=st.sampled_from(PATHS), method=st.sampled_from(["GET", "POST"]), body=st.binary(max_size=200))
def test_any_body_gets_a_response(path: str, method: str, body: bytes) -> None:
    """Any bytes get a response."""
    assert isinstance(parse(Request(method, path, {}, body, 0)), CompletionRequest | Reply)


def test_any_json_gets_a_response() -> None:
    """Any value of a field gets a response."""
    values: list[Any] = [
        None,
        False,
        -1,
        2**70,
        1.5,
        "",
        "\ud800",
        [],
        [[]],
        [{}],
        [{"role": "x", "content": {}}],
        {},
    ]
    for path in PATHS:
        for name in (
            "model",
            "messages",
            "stream",
            "max_tokens",
            "options",
            "stream_options",
            "prompt",
            "input",
            "contents",
            "tools",
            "generationConfig",
        ):
            for value in values:
                assert isinstance(post(path, {**CHAT, "max_tokens": 5, name: value}), CompletionRequest | Reply)


@given(target=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_any_target_gets_a_response(target: str) -> None:
    """Any request target gets a response."""
    assert isinstance(parse(Request("GET", target, {}, b"", 0)), CompletionRequest | Reply)


@given(schema=st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "properties", "required", "enum", "const", "anyOf", "a"]), inner),
    max_leaves=12,
))  # fmt: skip
def test_any_schema_of_a_tool_gets_a_response(schema: Any) -> None:
    """Whatever a tool's schema is, the arguments are a JSON object."""
    asked = post("/v1/messages", {**CHAT, "max_tokens": 5, "tools": [{"name": "f", "input_schema": schema}]})

    assert isinstance(asked, CompletionRequest)
    assert asked.tool is not None
    words = "go " if asked.tool.has_words else ""
    assert isinstance(json.loads(asked.tool.before + words + asked.tool.after), dict)


def test_deep_json_is_refused() -> None:
    """JSON nested too deeply to parse is a 400, not a crash."""
    reply = parse(Request("POST", "/v1/chat/completions", {}, b"[" * 200_000, 0))

    assert isinstance(reply, Reply)
    assert reply.status == 400


SCHEMAS: list[dict[str, Any]] = [
    {},
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"city": {"type": "string"}}},
    {"type": "OBJECT", "properties": {"city": {"type": "STRING"}, "n": {"type": "INTEGER"}}, "required": ["n"]},
    {"type": "object", "properties": {"n": {"type": "integer"}, "on": {"type": "boolean"}}, "required": ["n", "on"]},
    {"properties": {"unit": {"enum": ["C", "F"]}, "a": {"const": 7}}, "required": ["unit", "a"]},
    {"properties": {"x": {"anyOf": [{"type": "number"}, {"type": "null"}]}}, "required": ["x"]},
    {"properties": {"a": {"type": ["string", "null"]}, "kind": {"const": 7}}, "required": ["kind", "a"]},
    {
        "type": "object",
        "properties": {"at": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]}},
        "required": ["at"],
    },
    {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "string"}}}, "required": ["list"]},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_a_calls_arguments_fit_the_schema(schema: dict[str, Any]) -> None:
    """The arguments of a tool's call satisfy its JSON Schema, and the words stand in a text of it if it has one."""
    function = {"name": "f", "parameters": schema}
    asked = post("/v1/chat/completions", {**CHAT, "tools": [{"type": "function", "function": function}]})
    assert isinstance(asked, CompletionRequest)
    assert asked.tool is not None

    arguments = asked.tool.arguments(asked.tool.before + ("go " if asked.tool.has_words else "") + asked.tool.after)

    jsonschema.validate(
        arguments, json.loads(re.sub(r"OBJECT|STRING|INTEGER", lambda m: m[0].lower(), json.dumps(schema)))
    )
    assert asked.tool.has_words == ("go " in arguments.values())


def test_a_tool_is_not_called_again() -> None:
    """After its result, and where the client forbids it, the answer is text."""
    openai = [{"type": "function", "function": {"name": "f"}}]
    result = {"role": "tool", "tool_call_id": "1", "content": "sunny"}
    block = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "sunny"}]}
    answered = [
        post("/v1/chat/completions", {**CHAT, "tools": openai, "tool_choice": "none"}),
        post("/v1/chat/completions", {"model": "m", "messages": [*CHAT["messages"], result], "tools": openai}),
        post("/api/chat", {"model": "m", "messages": [*CHAT["messages"], result], "tools": openai}),
        post("/v1/messages", {"model": "m", "messages": [block], "tools": [{"name": "f"}], "max_tokens": 3}),
        post("/v1/messages", {**CHAT, "tools": [{"name": "f"}], "tool_choice": {"type": "none"}, "max_tokens": 3}),
        post(
            "/v1/responses",
            {"model": "m", "input": [{"type": "function_call_output"}], "tools": [{"type": "function", "name": "f"}]},
        ),
        post(
            "/v1beta/models/m:generateContent",
            {
                "contents": [{"parts": [{"functionResponse": {}}]}],
                "tools": [{"functionDeclarations": [{"name": "f"}]}],
            },
        ),
    ]

    for asked in answered:
        assert isinstance(asked, CompletionRequest)
        assert asked.tool is None
        assert asked.finish in ("stop", "length")


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/chat/completions", {**CHAT, "n": 2}, "n: this server gives one answer to a request, found 2"),
        ("/v1/completions", {**PROMPT, "n": 3}, "n: this server gives one answer to a request, found 3"),
        ("/v1/completions", {**PROMPT, "best_of": 2}, "best_of: this server gives one answer to a request, found 2"),
        ("/v1/completions", {"model": "m", "prompt": ["a", "b"]}, "prompt: this server answers one prompt"),
        ("/v1/completions", {"model": "m", "prompt": [[1, 2], [3]]}, "prompt: this server answers one prompt"),
        (
            "/v1beta/models/m:streamGenerateContent",
            {**GEMINI, "generationConfig": {"candidateCount": 2}},
            "candidateCount: this server gives one answer to a request, found 2",
        ),
    ],
)
def test_several_answers_are_refused(path: str, body: dict[str, Any], told: str) -> None:
    """One answer without a word would leave a client that waits for the second."""
    assert told in message(post(path, body))


@pytest.mark.parametrize("prompt", ["a", ["a"], [1, 2, 3], [[1, 2, 3]]])
def test_one_prompt_is_taken_in_every_shape(prompt: Any) -> None:
    """A text, its tokens, and a list of one of them."""
    assert isinstance(post("/v1/completions", {"model": "m", "prompt": prompt, "n": 1}), CompletionRequest)
