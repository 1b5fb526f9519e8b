"""A drive whose first requests all fail alike is stopped, with one sentence; nothing else stops it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from far_side import DONE, END, HEAD, TIMEOUT, Behaviour, chunk, far_side, hang, outcome, ready, request, saying, token
from far_side import workload as work

from chaoskit.errors import RefusedError
from chaoskit.probe.drive import DriveOptions, Target, drive
from chaoskit.probe.fail_fast import IN_A_ROW, FailFast
from chaoskit.probe.failure_advice import Circumstances, advice
from chaoskit.probe.transport.tls import NO_COMMON_HTTP
from chaoskit.records.model import Completion, Request
from chaoskit.server import certificates

MS = 1_000_000
GOOD = HEAD + chunk(token(), DONE) + END
LOOPS = [{"max_concurrency": 1}, {"max_concurrency": 20}, {"request_rate": "100/s"}]


def answer(status: str, body: bytes = b"", *headers: str) -> Behaviour:
    """Every request gets this."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return saying("\r\n".join(lines).encode() + body)


async def stopped(url: str, run: Path, words: dict[str, Any], **options: Any) -> str:
    """The sentence that a drive of up to 200 requests is stopped with."""
    asked = DriveOptions(seed=1, start=await ready(), **({"length": None, "requests": 200} | options))
    with pytest.raises(RefusedError) as caught:
        await asyncio.wait_for(drive(Target(url), work(**words), asked, run, asyncio.Event()), TIMEOUT)
    return str(caught.value)


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        (
            answer("401 No", b'{"error":{"message":"no such key"}}'),
            "401: no such key; check the API key: --api-key-env",
        ),
        (answer("403 No"), "403; check the API key"),
        (
            answer("404 No", b'{"error":{"message":"no model x"}}'),
            "404: no model x; check the URL's path, the protocol",
        ),
        (answer("429 Slow", b"", "retry-after: 30"), "429, retry-after 30; its rate limit was reached"),
        (
            answer(
                "403 No", b"<!DOCTYPE html><title>Attention Required!</title>", "content-type: text/html; charset=utf-8"
            ),
            "403, text/html: Attention Required!; a page is the answer of a gateway, a firewall or a login",
        ),
        (
            saying(HEAD, chunk(b'data: {"error":{"message":"try later","code":503}}\n\n')),
            "503: try later; the error came inside a 200: the service fails or has no room",
        ),
        (
            answer(
                "200 OK",
                b'{"success":false,"errors":[{"code":7003,"message":"No route"}],"messages":[],"result":null}',
                "content-type: application/json",
            ),
            "No route; the error came inside a 200: check the model and the protocol",
        ),
        (
            answer("200 OK", b'{"oops":true,"note":"not here"}', "content-type: application/json"),
            "content-type application/json instead of text/event-stream",
        ),
        (answer("503 Down"), "503; the service or its gateway fails"),
        (answer("502 Bad Gateway"), "502; a gateway answers, and the service behind it does not"),
        (answer("504 Gateway Time-out"), "504; a gateway gave up waiting for the service (nginx proxy_read_timeout"),
        (
            answer("400 Bad Request", b"Client sent an HTTP request to an HTTPS server."),
            "an HTTPS server; the port speaks TLS: https:// instead of http://",
        ),
        (
            answer(
                "400 Bad Request",
                b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
                "content-type: text/html",
            ),
            "HTTPS port; the port speaks TLS: https:// instead of http://",
        ),
        (answer("307 There", b"", "location: /v2"), "307, not followed to /v2; give the URL that it redirects to"),
        (answer("422 What"), "422; check the protocol and the model"),
        (
            answer("200 OK", b"<html>", "content-type: text/html"),
            "text/html instead of text/event-stream; the server speaks HTTP, but not this protocol",
        ),
        (
            saying(b"220 mail.example ESMTP\r\n\r\n"),
            "'220 mail.example ESMTP', which is no HTTP; check the URL",
        ),
        (saying(), "closed before any response; check the URL"),
        (
            answer("200 OK", b"", "content-type: text/event-stream"),
            "without the protocol's end marker; the server speaks HTTP, but",
        ),
        (
            saying(HEAD, chunk(b'data: {"error":{"message":"no model"}}\n\n')),
            "no model; the error came inside a 200: check the model",
        ),
    ],
)
def test_what_fails_from_the_start_is_stopped(behaviour: Behaviour, sentence: str, tmp_path: Path) -> None:
    """The drive stops after a few requests, says why and what to try, and records every request that began."""

    async def main() -> None:
        async with far_side(behaviour) as url:
            told = await stopped(url, tmp_path, {"request_rate": "200/s"})

        assert told.startswith(f"the first {IN_A_ROW} requests to {url}/v1/chat/completions all failed: ")
        assert sentence in told
        found = outcome(tmp_path)
        assert IN_A_ROW <= len(found.requests) < 60
        assert found.vitals[-1].open == 0
        assert found.vitals[-1].started == len(found.requests)

    asyncio.run(main())


@pytest.mark.parametrize("words", LOOPS)
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:9", "connection refused (ECONNREFUSED); check host and port, and whether the server runs"),
        ("http://no-such-name.invalid", "name lookup: "),
    ],
)
def test_what_cannot_be_reached_is_stopped(url: str, sentence: str, words: dict[str, Any], tmp_path: Path) -> None:
    """No server, and no such name."""
    told = asyncio.run(stopped(url, tmp_path, words))

    assert sentence in told
    assert len(outcome(tmp_path).requests) < 60


def test_tls_that_fails_is_stopped(tmp_path: Path) -> None:
    """A certificate that nobody trusts, and a port that does not speak TLS."""

    async def main() -> None:
        async with far_side(answer("200 OK"), certificates.context()) as url:
            told = await stopped(url, tmp_path / "tls", {})
        assert "TLS certificate: " in told
        assert told.endswith("trust its authority: --ca-file FILE, in a file ca-file: FILE")
        async with far_side(saying()) as url:
            told = await stopped(url.replace("http:", "https:"), tmp_path / "plain", {})
        assert told.endswith("check whether the port speaks TLS: http:// instead of https://")

    (tmp_path / "tls").mkdir()
    (tmp_path / "plain").mkdir()
    asyncio.run(main())


def test_a_server_that_refuses_the_handshake_is_not_taken_for_one_without_tls(tmp_path: Path) -> None:
    """Its alert is TLS: it has no such name, or wants a certificate."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(bytes.fromhex("15030300020250"))  # internal_error, as Caddy for an unknown name

    async def main() -> None:
        async with far_side(refuse) as url:
            told = await stopped(url.replace("http:", "https:"), tmp_path, {})
        assert "internal error; the server speaks TLS, and refuses this handshake: check the host name" in told
        assert "--client-cert FILE" in told

    asyncio.run(main())


def test_a_few_requests_that_all_fail_are_no_measurement(tmp_path: Path) -> None:
    """Fewer than stop a drive, and all that were asked for: the same sentence."""
    told = asyncio.run(stopped("http://127.0.0.1:9", tmp_path, {}, requests=2))
    (tmp_path / "one").mkdir()
    one = asyncio.run(stopped("http://127.0.0.1:9", tmp_path / "one", {}, requests=1))

    assert told.startswith("both requests to http://127.0.0.1:9/v1/chat/completions failed: connection refused")
    assert one.startswith("the only request to http://127.0.0.1:9/v1/chat/completions failed: connection refused")


@pytest.mark.parametrize("fault_free", [0, 30 * MS])
def test_a_fault_that_kills_everything_is_measured(fault_free: int, tmp_path: Path) -> None:
    """When a fault is in force before enough requests have failed, the drive goes on."""

    async def main() -> None:
        options = DriveOptions(seed=1, start=await ready(), length=300 * MS, drain=1000 * MS, fault_free=fault_free)
        work_load = work(request_rate="50/s", burstiness=0)
        await drive(Target("http://127.0.0.1:9"), work_load, options, tmp_path, asyncio.Event())

    asyncio.run(main())

    assert len(outcome(tmp_path).requests) == 15


def test_a_drive_that_had_one_success_goes_on(tmp_path: Path) -> None:
    """A success anywhere, even of a stream that is still open while later ones fail, is no wrong address."""

    async def first_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, headers, _ = await request(reader)
        if headers["x-chaoskit-stream"] == "0":
            await asyncio.sleep(0.2)
            writer.write(HEAD + chunk(token()))
            await writer.drain()
            await asyncio.sleep(0.3)
            writer.write(chunk(DONE) + END)
        else:
            writer.write(b"HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n")

    async def main() -> None:
        async with far_side(first_only) as url:
            options = DriveOptions(seed=1, start=await ready(), length=None, requests=30)
            await drive(Target(url), work(request_rate="100/s"), options, tmp_path, asyncio.Event())

    asyncio.run(main())

    found = outcome(tmp_path).requests
    assert len(found) == 30
    assert [one.stream for one in found if one.completion == "complete"] == [0]


def test_slowness_is_measured(tmp_path: Path) -> None:
    """An endpoint that never answers in time is not stopped: that is a result."""

    async def main() -> None:
        async with far_side(saying(then=hang)) as url:
            options = DriveOptions(seed=1, start=await ready(), length=None, requests=10)
            load = work(max_concurrency=5, timeouts={"first-token": "50ms"})
            await drive(Target(url), load, options, tmp_path, asyncio.Event())

    asyncio.run(main())

    assert [one.completion for one in outcome(tmp_path).requests] == ["first_token_timeout"] * 10


def ended(stream: int, completion: Completion, detail: str = "", status: int | None = None) -> Request:
    """A request without a token."""
    return Request(stream, scheduled=0, started=0, ended=1, completion=completion, detail=detail, status=status)


def test_requests_count_in_the_order_of_their_start() -> None:
    """Failures that overtake an open request wait for it."""
    watch = FailFast(Circumstances("http://x", "openai-chat"), None)
    for stream in (1, 2, 3, 4, 5, 6):
        watch.ended(ended(stream, "http_error", "500", 500), any_token=False)
    assert not watch.sentence

    watch.ended(ended(0, "http_error", "502", 502), any_token=False)

    assert watch.sentence.startswith("the first 5 requests to http://x all failed: 500;")


def test_failures_of_different_kinds_do_not_add_up() -> None:
    """Only the same reason, five times in a row, is one; a later row counts as well."""
    watch = FailFast(Circumstances("http://x", "openai-chat"), None)
    for stream, status in enumerate((401, 404, 401, 404, 401, 401, 401, 401)):
        watch.ended(ended(stream, "http_error", str(status), status), any_token=False)
    assert not watch.sentence

    watch.ended(ended(8, "http_error", "401", 401), any_token=False)

    assert watch.sentence.startswith("the first 9 requests to http://x all failed: 401;")


@pytest.mark.parametrize("status", [200, 400, 404])
def test_a_path_of_another_protocol_is_named(status: int) -> None:
    """The server answered, and the path says what it speaks; with a wrong key that would be no help."""
    watch, other = (FailFast(Circumstances("http://x/v1/messages", "openai-chat"), None) for _ in range(2))
    for stream in range(IN_A_ROW):
        watch.ended(ended(stream, "http_error" if status != 200 else "truncated", "no", status), any_token=False)
        other.ended(ended(stream, "http_error", "401", 401), any_token=False)

    assert watch.sentence.endswith(
        "; its path is one of anthropic-messages: --protocol anthropic-messages, in a file protocol: anthropic-messages"
    )
    assert other.sentence.endswith("check the API key: --api-key-env NAME, in a file key-env: NAME")


def failed(completion: Completion, detail: str, status: int | None = None) -> Request:
    """A request that ended so."""
    return ended(0, completion, detail, status)


@pytest.mark.parametrize(
    ("asked", "request_", "sentence"),
    [
        ({}, failed("connect_failed", f"TLS: {NO_COMMON_HTTP}"), "ask for HTTP/2: --http 2, in a file http: 2"),
        ({"http": "2"}, failed("connect_failed", f"TLS: {NO_COMMON_HTTP}"), "check the port"),
        ({"is_stream": False}, failed("protocol_error", "a whole answer", 200), "the body asks for no stream"),
        ({"is_stream": False}, failed("http_error", "401", 401), "check the API key"),
        ({}, failed("connect_failed", "TLS certificate: self-signed certificate"), "trust its authority: --ca-file"),
        (
            {"has_ca_file": True},
            failed("connect_failed", "TLS certificate: self-signed certificate"),
            "the given file of authorities does not hold",
        ),
        (
            {"has_ca_file": True},
            failed("connect_failed", "TLS certificate: IP address mismatch, certificate is not valid for '127.0.0.1'"),
            "give the URL with a name or an address that the certificate has",
        ),
        ({}, failed("connect_failed", "TLS certificate: certificate has expired"), "renew the certificate"),
    ],
)
def test_the_advice_knows_what_was_asked(asked: dict[str, Any], request_: Request, sentence: str) -> None:
    """What was given on the command line is not advised again, and what was asked wrongly is named."""
    assert advice(Circumstances("http://x", "openai-chat", **asked), request_).startswith(sentence)


@pytest.mark.parametrize("extra", [{"stream": False}, {"stream": None}])
def test_a_body_that_asks_for_no_stream_is_named(extra: dict[str, Any], tmp_path: Path) -> None:
    """The extra body took it out, and the server did what it was asked."""
    whole = answer("200 OK", b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}')

    async def main() -> None:
        async with far_side(whole) as url:
            told = await stopped(url, tmp_path, {"extra-body": extra})
        assert told.endswith("in a file extra-body: only a stream can be measured")

    asyncio.run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9"])
def test_a_proxy_that_is_dead_is_named(url: str, tmp_path: Path) -> None:
    """The endpoint was never tried."""

    async def main() -> None:
        asked = DriveOptions(seed=1, start=await ready(), length=None, requests=1)
        with pytest.raises(RefusedError) as caught:
            await drive(Target(url, proxy="http://127.0.0.1:1"), work(), asked, tmp_path, asyncio.Event())
        assert str(caught.value).endswith(
            "failed: no connection to the proxy 127.0.0.1:1: connection refused (ECONNREFUSED); "
            "check the host and the port of the proxy, and whether it runs"
        )

    asyncio.run(main())


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_a_port_with_another_http_version_is_named(http: str, tmp_path: Path) -> None:
    """A TLS server that refuses the handshake by ALPN's alert, as nginx and Envoy do."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(bytes.fromhex("15030300020278"))

    async def main() -> None:
        async with far_side(refuse) as url:
            told = await stopped(url.replace("http:", "https:"), tmp_path, {"http": http})
        assert NO_COMMON_HTTP in told
        assert ("--http 2" in told) == (http == "1.1")

    asyncio.run(main())


def test_an_http1_port_asked_with_http2_is_told_once(tmp_path: Path) -> None:
    """The sentence ends with the option to give."""

    async def main() -> None:
        async with far_side(answer("400 Bad Request")) as url:
            told = await stopped(url, tmp_path, {"http": "2"})
        assert told.endswith("the port does not know HTTP/2; ask for HTTP/1.1: --http 1.1, in a file http: 1.1")

    asyncio.run(main())


def test_users_who_ask_again_count_once(tmp_path: Path) -> None:
    """An attempt that is followed by another says nothing yet: so many users must fail, each to the end."""

    async def main() -> str:
        async with far_side(answer("503 Busy")) as url:
            retry = {"share": "100%", "patience": "2s", "after": "10ms", "times": 2}
            return await stopped(url, tmp_path, {"max_concurrency": 1, "users": {"retry": retry}})

    sentence = asyncio.run(main())

    assert sentence.startswith(f"the first {IN_A_ROW} requests to ")
    assert [one.attempt for one in outcome(tmp_path).requests][: 3 * IN_A_ROW] == [1, 2, 3] * IN_A_ROW
