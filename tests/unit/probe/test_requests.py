"""What a request contains on the wire, and which secrets are never recorded."""

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from far_side import DONE, END, HEAD, ask, chunk, far_side, request, saying, token, workload

from chaoskit.errors import SpecError
from chaoskit.probe.conversation import Conversation
from chaoskit.probe.drive import Target
from chaoskit.probe.requests import RequestFactory
from chaoskit.records.model import Request
from chaoskit.records.trace_context import trace_of_request
from chaoskit.spec.classes import TrafficClass
from chaoskit.spec.conversations import Opening
from chaoskit.spec.workload import Protocol
from chaoskit.units import Share

KEY = "sk-a-very-secret-key"
PATHS: dict[Protocol, str] = {
    "openai-chat": "/v1/chat/completions",
    "openai-completions": "/v1/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "gemini": "/v1beta/models/chaoskit:streamGenerateContent?alt=sse",
    "ollama": "/api/chat",
    "ollama-generate": "/api/generate",
    "sse": "/sse?tokens=9",
}
KEY_HEADERS: dict[Protocol, tuple[str, str]] = {
    "anthropic-messages": ("x-api-key", KEY),
    "gemini": ("x-goog-api-key", KEY),
}


def texts(value: Any) -> list[str]:
    """Every text in a JSON document."""
    if isinstance(value, dict | list):
        return [text for part in (value.values() if isinstance(value, dict) else value) for text in texts(part)]
    return [value] if isinstance(value, str) else []


def asked(target: Target, answer: bytes = HEAD + chunk(token(), DONE) + END, **words: Any) -> tuple[Any, str]:
    """The request that a server gets, as (first line, headers, body), and everything that was written down."""
    got: list[tuple[str, dict[str, str], bytes]] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await request(reader))
        writer.write(answer)

    async def main() -> str:
        async with far_side(behave) as url:
            here = replace(target, url=url + target.url)
            return (await ask(here, workload(**words))).everything

    written = asyncio.run(main())
    return got[0], written


@pytest.mark.parametrize("protocol", list(PATHS))
def test_a_request_asks_for_a_stream(protocol: Protocol) -> None:
    """It has the protocol's default path, the content codings of SDKs, its stream number and its prompt."""
    (first, headers, body), _ = asked(Target(""), protocol=protocol, prompt_size="300B", output_tokens=9)

    said = json.loads(body)
    assert first.split()[:2] == ["POST", PATHS[protocol]]
    assert headers["accept-encoding"] == "gzip, deflate"
    assert headers["x-chaoskit-stream"] == "0"
    assert said.get("stream") is (None if protocol == "gemini" else True)
    (prompt,) = [text for text in texts(said) if len(text) > 100]
    assert len(prompt.encode()) == 300


def test_a_given_path_is_kept() -> None:
    """A URL with a path and query is used unchanged."""
    (first, _, _), _ = asked(Target("/v2/other?x=1"))

    assert first == "POST /v2/other?x=1 HTTP/1.1"


def test_a_request_names_its_trace() -> None:
    """Where traces are asked for, each request names one of its own, which its record has; else none."""
    (_, without, _), unnamed = asked(Target(""))
    (_, headers, _), written = asked(Target("", traces=7))

    context = trace_of_request(7, 0)
    assert headers["traceparent"] == context.header
    assert f'"trace":"{context.trace}"' in written
    assert "traceparent" not in without
    assert '"trace":null' in unnamed


@pytest.mark.parametrize("given", [{"headers": {"Traceparent": "own"}}, {"header_env": {"TRACEPARENT": "HOME"}}])
def test_a_trace_of_the_user_stays(given: dict[str, dict[str, str]]) -> None:
    """A traceparent that the target's headers give is sent alone, and the record has no trace."""
    (_, headers, _), written = asked(Target("", traces=7, **given))  # type: ignore[arg-type]

    assert "-" not in headers["traceparent"]
    assert '"trace":null' in written


def test_prompts_are_drawn_from_the_seed_and_differ() -> None:
    """The same seed gives the same prompts, another seed others; prompts of two streams differ, at any size."""
    for size in ("40B", "1kB", "200kB"):
        work = workload(prompt_size=size)
        one, same, other = (RequestFactory(Target("http://x"), work, seed) for seed in (1, 1, 2))

        bodies = [factory.request(0, Conversation(Opening(0, 0, 1))).request.content for factory in (one, same, other)]

        assert bodies[0] == bodies[1] != bodies[2]
        assert one.request(1, Conversation(Opening(1, 1, 1))).request.content != bodies[0]
        assert len(json.loads(bodies[0])["messages"][0]["content"]) == work.prompt_size


@pytest.mark.parametrize("protocol", list(PATHS))
def test_the_key_goes_to_the_server_and_nowhere_else(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The key is in the request's header, and in no record and no log, even when the server echoes it."""
    monkeypatch.setenv("TEST_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"error": {"message": f"the key {KEY} is not known"}}).encode()
    refusal = f"HTTP/1.1 401 No\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    (_, headers, _), written = asked(Target("", key_env="TEST_KEY"), refusal, protocol=protocol)

    name, value = KEY_HEADERS.get(protocol, ("authorization", f"Bearer {KEY}"))
    assert headers[name] == value
    assert KEY not in written
    assert "401: the key (the API key) is not known" in written
    assert KEY not in caplog.text


def test_the_key_replaces_a_header_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A given header with the name of the key's header is not sent."""
    monkeypatch.setenv("TEST_KEY", KEY)

    heads: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HEAD + chunk(token(), DONE) + END)

    async def main() -> None:
        async with far_side(behave) as url:
            await ask(Target(url, headers={"Authorization": "none"}, key_env="TEST_KEY"), workload())

    asyncio.run(main())

    sent = [line for line in heads[0].lower().split(b"\r\n") if line.startswith(b"authorization")]
    assert sent == [f"authorization: bearer {KEY}".encode()]


def test_secrets_echoed_by_the_server_are_not_recorded() -> None:
    """The values of given headers and of the URL's query are in no record, even when the server echoes them."""
    body = json.dumps({"error": {"message": "no tEnAnT at pReViEw"}}).encode()
    refusal = f"HTTP/1.1 400 No\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    (first, headers, _), written = asked(Target("/v1/x?version=pReViEw", headers={"x-tenant": "tEnAnT"}), refusal)

    assert (first.split()[1], headers["x-tenant"]) == ("/v1/x?version=pReViEw", "tEnAnT")
    assert "400: no (hidden) at (hidden)" in written
    assert "tEnAnT" not in written
    assert "pReViEw" not in written


@pytest.mark.parametrize("key", [None, "", "two\nlines", "schlüssel", " "])
def test_an_invalid_key_is_refused_before_sending(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key, or one that is not a header value, is a SpecError whose message does not show it."""
    if key is None:
        monkeypatch.delenv("TEST_KEY", raising=False)
    else:
        monkeypatch.setenv("TEST_KEY", key)

    with pytest.raises(SpecError, match="TEST_KEY") as refused:
        RequestFactory(Target("http://127.0.0.1:9", key_env="TEST_KEY"), workload(), 1)

    assert not key or key.strip() == "" or key not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://x/y",
        "http://",
        "https:///path",
        "http://[::1",
        "http://a:port",
        "http://\x00",
    ],
)
def test_an_invalid_url_is_refused(url: str) -> None:
    """An invalid URL is a SpecError whose message shows a valid one."""
    with pytest.raises(SpecError, match=r"write for example http://127\.0\.0\.1:8000"):
        RequestFactory(Target(url), workload(), 1)


@pytest.mark.parametrize("header", [("a b", "x"), ("", "x"), ("a", "x\ny"), ("a", "é"), ("a:", "x"), ("a", " x")])
def test_an_invalid_header_is_refused(header: tuple[str, str]) -> None:
    """An invalid header is a SpecError."""
    with pytest.raises(SpecError, match="characters that HTTP does not allow"):
        RequestFactory(Target("http://x", headers=dict([header])), workload(), 1)


def test_given_headers_replace_defaults() -> None:
    """A given header replaces the default, whatever its case."""
    factory = RequestFactory(Target("http://x", headers={"User-Agent": "me", "X-Extra": "1"}), workload(), 1)

    sent = factory.request(0, Conversation(Opening(0, 0, 1))).request.headers

    assert sent.get_list("user-agent") == ["me"]
    assert sent.get_list("x-extra") == ["1"]


CLASSES = {
    "premium": TrafficClass(share=Share.parse("50%"), priority=2, sent_as="priority"),
    "batch": TrafficClass(share=Share.parse("50%"), priority=0),
}


@pytest.mark.parametrize(
    ("words", "header", "field"),
    [
        ("service_tier", None, ("service_tier", {"premium": "priority", "batch": "batch"})),
        ("header x-class", "x-class", None),
        ("priority", None, ("priority", {"premium": -2, "batch": 0})),
    ],
)
def test_each_request_says_its_class(words: str, header: str | None, field: tuple[str, Any] | None) -> None:
    """Where the file says, and all turns of a conversation have the class of the first."""
    classes = (
        dict(CLASSES)
        if words != "priority"
        else {n: c.model_copy(update={"sent_as": None}) for n, c in CLASSES.items()}
    )
    work = workload(carry={"class": words}, turns=3)
    factory = RequestFactory(Target("http://x"), work, 1, classes)
    seen: set[str | None] = set()

    for first in range(0, 60, 3):
        conversation = Conversation(Opening(first // 3, first, 3))
        asked = [factory.request(0, conversation)]
        conversation.answered("well")
        asked.append(factory.request(1, conversation))
        (name,) = {each.traffic_class for each in asked}
        assert name is not None
        for each in asked:
            body = json.loads(each.request.content)
            if header is not None:
                assert each.request.headers[header] == {"premium": "priority", "batch": "batch"}[name]
            if field is not None:
                assert body[field[0]] == field[1][name]
            assert each.tier == (body["service_tier"] if words == "service_tier" else None)
        seen.add(name)

    assert seen == {"premium", "batch"}


TOLD = {
    "openai-chat": b'data: {"choices":[{"delta":{"content":"x"}}],"service_tier":"default"}\n\ndata: [DONE]\n\n',
    "openai-responses": b'data: {"type":"response.output_text.delta","delta":"x"}\n\n'
    b'data: {"type":"response.completed","response":{"service_tier":"default"}}\n\n',
    "anthropic-messages": b'data: {"type":"message_start","message":{"usage":{"service_tier":"default"}}}\n\n'
    b'data: {"type":"content_block_delta","delta":{"text":"x"}}\n\ndata: {"type":"message_stop"}\n\n',
}


@pytest.mark.parametrize("protocol", list(TOLD))
def test_the_tier_that_served_is_recorded_beside_the_asked_one(protocol: Protocol) -> None:
    """A silent downgrade is in the record of its request, and so is a degraded answer."""
    head = HEAD.replace(b"\r\n\r\n", b"\r\nx-degraded: breadth,concise\r\n\r\n")

    async def main() -> Request:
        async with far_side(saying(head, chunk(TOLD[protocol]), END)) as url:
            work = workload(protocol=protocol, extra_body={"service_tier": "priority"})
            return (await ask(Target(url), work)).request

    found = asyncio.run(main())

    assert (found.completion, found.tier_asked, found.tier_served) == ("complete", "priority", "default")
    assert found.degraded == "breadth,concise"
    assert found.traffic_class is None


def test_a_refusal_says_why_it_was_dropped() -> None:
    """The reason that llm-d's router and the reference gateway give in a header is in the record."""
    answer = b"HTTP/1.1 429 Too Many Requests\r\nx-llm-d-request-dropped-reason: saturated\r\nretry-after: 1\r\n"

    async def main() -> Request:
        async with far_side(saying(answer + b"content-length: 0\r\n\r\n")) as url:
            return (await ask(Target(url), workload())).request

    found = asyncio.run(main())

    assert (found.completion, found.status) == ("http_error", 429)
    assert found.detail == "429, retry-after 1, dropped: saturated"
