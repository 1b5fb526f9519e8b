"""What goes over the wire in a question, and what never leaves this process."""

import asyncio
import json
import logging
from typing import Any

import pytest
from far_side import DONE, END, HEAD, ask, chunk, far_side, request, token, workload

from chaoskit.errors import SpecError
from chaoskit.probe.drive import Target
from chaoskit.probe.protocols import DEFAULT_PATHS
from chaoskit.probe.requests import RequestFactory
from chaoskit.spec.experiment import Protocol

KEY = "sk-a-very-secret-key"


def asked(target: Target, answer: bytes = HEAD + chunk(token(), DONE) + END, **words: Any) -> tuple[Any, str]:
    """The request that a server gets, as (first line, headers, body), and everything that was written down."""
    got: list[tuple[str, dict[str, str], bytes]] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await request(reader))
        writer.write(answer)

    async def main() -> str:
        async with far_side(behave) as url:
            here = Target(url + target.url, target.model, target.headers, target.key_env)
            return (await ask(here, workload(**words))).everything

    written = asyncio.run(main())
    return got[0], written


@pytest.mark.parametrize("protocol", list(DEFAULT_PATHS))
def test_a_question_is_a_stream_request(protocol: Protocol) -> None:
    """It goes to the protocol's usual path, asks for no coding, names its stream, and carries its prompt."""
    (first, headers, body), _ = asked(Target(""), protocol=protocol, prompt_size="300B", output_tokens=9)

    said = json.loads(body)
    assert first.split()[:2] == ["POST", DEFAULT_PATHS[protocol] + ("?tokens=9" if protocol == "sse" else "")]
    assert headers["accept-encoding"] == "identity"
    assert headers["x-chaoskit-stream"] == "0"
    assert said["stream"] is True
    prompt = said["prompt"] if protocol == "sse" else said["messages"][0]["content"]
    assert len(prompt.encode()) == 300


def test_a_path_of_the_callers_own_is_kept() -> None:
    """A URL with a path and query is asked as it is."""
    (first, _, _), _ = asked(Target("/v2/other?x=1"))

    assert first == "POST /v2/other?x=1 HTTP/1.1"


def test_prompts_are_drawn_from_the_seed_and_differ() -> None:
    """The same seed asks the same, another one something else; no two streams ask the same, whatever the size."""
    for size in ("40B", "1kB", "200kB"):
        work = workload(prompt_size=size)
        one, same, other = (RequestFactory(Target("http://x"), work, seed) for seed in (1, 1, 2))

        bodies = [asking.request(0).content for asking in (one, same, other)]

        assert bodies[0] == bodies[1] != bodies[2]
        assert one.request(1).content != bodies[0]
        assert len(json.loads(bodies[0])["messages"][0]["content"]) == work.prompt_size


@pytest.mark.parametrize("protocol", list(DEFAULT_PATHS))
def test_the_key_goes_to_the_server_and_nowhere_else(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The key is in the request's header, and in no record and no log, even when the server repeats it."""
    monkeypatch.setenv("TEST_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"error": {"message": f"the key {KEY} is not known"}}).encode()
    refusal = f"HTTP/1.1 401 No\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    (_, headers, _), written = asked(Target("", key_env="TEST_KEY"), refusal, protocol=protocol)

    if protocol == "anthropic-messages":
        assert headers["x-api-key"] == KEY
    else:
        assert headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in written
    assert "401: the key (the API key) is not known" in written
    assert KEY not in caplog.text


def test_the_key_stands_in_place_of_a_header_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header of the caller's that is called as the key's is not sent beside it."""
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


def test_what_a_server_repeats_of_the_request_is_not_written_down() -> None:
    """The values of the caller's headers and of the URL's query are in no record, even when the server says them."""
    body = json.dumps({"error": {"message": "no tEnAnT at pReViEw"}}).encode()
    refusal = f"HTTP/1.1 400 No\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    (first, headers, _), written = asked(Target("/v1?version=pReViEw", headers={"x-tenant": "tEnAnT"}), refusal)

    assert (first.split()[1], headers["x-tenant"]) == ("/v1?version=pReViEw", "tEnAnT")
    assert "400: no (hidden) at (hidden)" in written
    assert "tEnAnT" not in written
    assert "pReViEw" not in written


@pytest.mark.parametrize("key", [None, "", "two\nlines", "schlüssel", " "])
def test_a_key_that_cannot_be_sent_is_refused_before_anything_is(
    key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is missing or no header value is the caller's mistake; the message does not show it."""
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
def test_what_is_no_url_is_refused(url: str) -> None:
    """A URL that cannot be asked is the caller's mistake, and the message shows one that can."""
    with pytest.raises(SpecError, match=r"write for example http://127\.0\.0\.1:8000"):
        RequestFactory(Target(url), workload(), 1)


@pytest.mark.parametrize("header", [("a b", "x"), ("", "x"), ("a", "x\ny"), ("a", "é"), ("a:", "x"), ("a", " x")])
def test_a_header_that_http_does_not_allow_is_refused(header: tuple[str, str]) -> None:
    """A header that cannot be sent is the caller's mistake."""
    with pytest.raises(SpecError, match="characters that HTTP does not allow"):
        RequestFactory(Target("http://x", headers=dict([header])), workload(), 1)


def test_the_callers_headers_win() -> None:
    """A header of the caller's replaces ours, whatever its letters' case."""
    asking = RequestFactory(Target("http://x", headers={"User-Agent": "me", "X-Extra": "1"}), workload(), 1)

    sent = asking.request(0).headers

    assert sent.get_list("user-agent") == ["me"]
    assert sent.get_list("x-extra") == ["1"]
