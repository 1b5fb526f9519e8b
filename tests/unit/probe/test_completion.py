"""Every end of a stream, on real sockets, has its completion class and a safe detail."""

import asyncio
import gzip
import socket

import pytest
from far_side import (
    DONE,
    END,
    HEAD,
    ROLE,
    Behaviour,
    ask,
    chunk,
    far_side,
    hang,
    ready,
    reset,
    saying,
    token,
    workload,
)  # fmt: skip

from chaoskit.probe.completion import StreamState, classify
from chaoskit.probe.drive import DriveOptions
from chaoskit.probe.transport.exchange import UnprocessedError

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

STARTED = HEAD + chunk(ROLE) + chunk(token())
SHORT = {"connect": "200ms", "first-token": "200ms", "idle": "200ms"}
TIMEOUT: dict[str, dict[str, str]] = {  # little where that is what ends it
    "first_token_timeout": {"first-token": "200ms"},
    "idle_timeout": {"idle": "200ms"},
    "complete": {"idle": "200ms"},
}


def plain(status: str, body: bytes = b"", headers: str = "") -> bytes:
    """A response with a length."""
    return f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


async def flood(writer: asyncio.StreamWriter) -> None:
    """Send one endless line."""
    while True:
        writer.write(chunk(b"x" * 50_000))
        await writer.drain()


async def flood_headers(writer: asyncio.StreamWriter) -> None:
    """Send headers without end."""
    while True:
        writer.write(b"x-more: " + b"y" * 5000 + b"\r\n")
        await writer.drain()


async def remind(writer: asyncio.StreamWriter) -> None:
    """Send "100 Continue" endlessly."""
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()


async def drip(writer: asyncio.StreamWriter) -> None:
    """Single bytes that never complete an event."""
    while True:
        writer.write(chunk(b"x"))
        await asyncio.sleep(0.02)


async def ping(writer: asyncio.StreamWriter) -> None:
    """Comments, but no token."""
    while True:
        writer.write(chunk(b": still here\n\n"))
        await asyncio.sleep(0.02)


async def nod(writer: asyncio.StreamWriter) -> None:
    """Events without text."""
    while True:
        writer.write(chunk(ROLE))
        await asyncio.sleep(0.02)


ENDINGS: dict[str, tuple[Behaviour, str, str]] = {
    "complete": (saying(STARTED, chunk(token(), DONE), END), "complete", ""),
    "complete, though the connection stays": (saying(STARTED, chunk(DONE), then=hang), "complete", ""),
    "complete, then reset": (saying(STARTED, chunk(DONE), then=reset), "complete", ""),
    "finish reason, then silence": (
        saying(STARTED, chunk(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'), then=hang),
        "complete", "",
    ),
    "no end marker": (saying(STARTED, END), "truncated", "ended without the protocol's end marker"),
    "end marker without its empty line": (saying(STARTED, chunk(b"data: [DONE]\n"), END), "complete", ""),
    "end marker without its empty line, cut": (saying(STARTED, chunk(b"data: [DONE]\n")), "truncated",
                                               "closed during the response"),
    "closed mid-stream": (saying(STARTED), "truncated", "closed during the response"),
    "closed within a chunk": (saying(STARTED, chunk(token())[:20]), "truncated", "closed during the response"),
    "closed within the headers": (saying(HEAD[:30]), "truncated", "closed before any response"),
    "closed before the headers": (saying(), "truncated", "closed before any response"),
    "reset mid-stream": (saying(STARTED, then=reset), "reset", "connection reset by peer (ECONNRESET)"),
    "reset before the headers": (saying(then=reset), "reset", "connection reset by peer (ECONNRESET)"),
    "garbage for headers": (saying(b"\x00\x01garbage\r\n\r\n"), "protocol_error", "invalid HTTP"),
    "garbage for a chunk": (saying(STARTED, b"zz\r\n", then=hang), "protocol_error", "invalid HTTP"),
    "another protocol": (saying(b"220 mail.example ESMTP\r\n\r\n", then=hang), "protocol_error", "invalid HTTP"),
    "HTTP/2 unasked": (saying(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", then=hang), "protocol_error", "invalid HTTP"),
    "not JSON": (saying(HEAD, chunk(b"data: {oops\n\n"), then=hang), "protocol_error", "an event that is not JSON"),
    "an endless line": (saying(HEAD, then=flood), "too_large", "a line of more than 32MB"),
    "endless headers": (saying(b"HTTP/1.1 200 OK\r\n", then=flood_headers), "too_large", "headers of more than 64kB"),
    "endless 100 Continue": (saying(then=remind), "too_large", "headers of more than 64kB"),
    "HTML": (saying(plain("200 OK", b"<html><title>Log in</title>", "content-type: text/html\r\n")), "error_event",
             "Log in"),
    "compressed": (saying(plain("200 OK", gzip.compress(DONE), "content-encoding: gzip\r\n")), "complete", ""),
    "compressed, and not": (saying(plain("200 OK", DONE, "content-encoding: gzip\r\n")), "protocol_error",
                            "broken gzip data"),
    "compressed in another way": (saying(plain("200 OK", DONE, "content-encoding: dcb\r\n")), "protocol_error",
                                  "content-encoding dcb, which was not asked for"),
    "compressed refusal": (saying(plain("503 Busy", gzip.compress(b'{"error":{"message":"busy"}}'),
                                        "content-encoding: gzip\r\n")), "http_error", "503: busy"),
    "no content": (saying(b"HTTP/1.1 204 No Content\r\n\r\n"), "truncated", "end marker"),
    "an error event": (saying(STARTED, chunk(b'data: {"error":{"message":"over\\tloaded"}}\n\n'), END), "error_event",
                       "over loaded"),
    "an error event and the end marker": (saying(STARTED, chunk(b'data: {"error":{}}\n\n', DONE), END),
                                          "error_event", ""),
    "429": (saying(plain("429 Slow Down", b'{"error":{"message":"slow down"}}', "retry-after: 7\r\n")), "http_error",
            "429, retry-after 7: slow down"),
    "500 with a page": (saying(plain("500 Oops", b"<html>" * 5000)), "http_error", "500"),
    "500 that never ends": (saying(b"HTTP/1.1 500 Oops\r\ncontent-length: 9\r\n\r\nxx", then=hang),
                            "http_error", "500"),
    "500 that is cut": (saying(b"HTTP/1.1 500 Oops\r\ncontent-length: 9\r\n\r\nxx"), "http_error", "500"),
    "a redirect": (saying(plain("307 Elsewhere", headers="location: http://example.org/\r\n")), "http_error",
                   "307, not followed to http://example.org/"),
    "a redirect to nonsense": (saying(plain("302 Elsewhere", headers="location: http://[::1\r\n")), "http_error",
                               "302, not followed to http://[::1"),
    "a redirect to a host and port": (
        saying(plain("302 Elsewhere", headers="location: localhost:8080/login\r\n")), "http_error",
        "302, not followed to localhost:8080/login",
    ),
    "a redirect with a query": (
        saying(plain("301 Elsewhere", headers="location: //x/?ticket=abc&v=1#top\r\n")), "http_error",
        "301, not followed to //x/?ticket=…&v=…",
    ),
    "a redirect with a password": (
        saying(plain("303 Elsewhere", headers="location: http://me:secret@x/\r\n")), "http_error",
        "303, not followed to http://…@x/",
    ),
    "a redirect without a location": (saying(plain("302 Elsewhere")), "http_error", "302"),
    "a cookie of nonsense": (saying(plain("404 No", headers="set-cookie: =;;expires=never;\xff=\r\n")), "http_error",
                             "404"),
    "talk after the end marker": (saying(STARTED, chunk(DONE), then=ping), "complete", ""),
    "silence for a response": (saying(then=hang), "first_token_timeout", "no response within 200ms"),
    "silence for a token": (saying(HEAD, chunk(ROLE), then=hang), "first_token_timeout", "no first token within 200ms"),
    "pings for a token": (saying(HEAD, chunk(ROLE), then=ping), "first_token_timeout", "no first token within 200ms"),
    "silence after a token": (saying(STARTED, then=hang), "idle_timeout", "no token for 200ms"),
    "pings after a token": (saying(STARTED, then=ping), "idle_timeout", "no token for 200ms"),
    "events without text after a token": (saying(STARTED, then=nod), "idle_timeout", "no token for 200ms"),
    "dripping after a token": (saying(STARTED, then=drip), "idle_timeout", "no token for 200ms"),
}  # fmt: skip


@pytest.mark.parametrize(("behaviour", "completion", "detail"), ENDINGS.values(), ids=ENDINGS.keys())
def test_an_end_is_classified(behaviour: Behaviour, completion: str, detail: str) -> None:
    """A stream's end has its completion class and detail."""

    async def main() -> None:
        async with far_side(behaviour) as url:
            outcome = await ask(url, workload(timeouts=TIMEOUT.get(completion, {})))

        assert outcome.ending[0] == completion
        assert outcome.ending[1].endswith(detail) or detail in outcome.ending[1]
        assert outcome.request.ended >= outcome.request.started
        looks = [
            one.when for one in outcome.tcp_infos if one.when not in ("start", "silent", "stuck")
        ]  # those are on its way
        assert looks == ["connected", "end"]

    asyncio.run(main())


@pytest.mark.parametrize("behaviour", [saying(STARTED, END), saying(STARTED, then=reset), saying(STARTED, then=hang)])
def test_records_before_the_end_are_kept(behaviour: Behaviour) -> None:
    """A stream that fails keeps its stamps and tokens up to the failure."""

    async def main() -> None:
        async with far_side(behaviour) as url:
            outcome = await ask(url, workload(timeouts={"idle": "200ms"}))

        assert outcome.kinds == ["meta", "content"]
        assert outcome.request.tokens == 1
        assert outcome.request.first_token is not None

    asyncio.run(main())


def test_pings_extend_the_idle_time_if_configured() -> None:
    """With keepalive-extends-idle, comments after a token keep a stream from idling, and silence does not."""

    async def lively(writer: asyncio.StreamWriter) -> None:
        for _ in range(30):
            writer.write(chunk(b": ping\n\n"))
            await asyncio.sleep(0.02)
        writer.write(chunk(DONE) + END)

    async def main() -> None:
        patience = {"idle": "200ms", "keepalive-extends-idle": True}
        async with far_side(saying(STARTED, then=lively)) as url:
            outcome = await ask(url, workload(timeouts=patience))
        async with far_side(saying(STARTED, then=hang)) as url:
            silent = await ask(url, workload(timeouts=patience))

        assert silent.ending == ("idle_timeout", "silent for 200ms")
        assert outcome.ending == ("complete", "")
        assert outcome.kinds == ["meta", "content", *["ping"] * 30, "done"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("said", "completion"),
    [(STARTED + chunk(DONE), "complete"), (b"HTTP/1.1 503 No\r\ncontent-length: 9\r\n\r\n", "http_error")],
)
def test_after_its_end_marker_a_stream_has_one_second(said: bytes, completion: str) -> None:
    """After the end marker or an error status a server has one second to finish, not the stream's timeouts."""

    async def main() -> None:
        async with far_side(saying(said, then=hang)) as url:
            outcome = await ask(url, workload(timeouts={"first-token": "60s", "idle": "60s"}))

        assert outcome.request.completion == completion

    asyncio.run(main())


def test_a_comment_is_not_a_first_event() -> None:
    """Comments before the first event are kept as pings, and do not count as an event."""

    async def main() -> None:
        async with far_side(saying(HEAD, chunk(b": hello\n\n"), END)) as url:
            outcome = await ask(url, workload())

        assert outcome.kinds == ["ping"]
        assert outcome.request.first_event is None

    asyncio.run(main())


def test_a_refused_connection_is_classified() -> None:
    """Without a listener: connect_failed, with the kernel's error."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))

        outcome = asyncio.run(ask(f"http://127.0.0.1:{nobody.getsockname()[1]}", workload()))

    assert outcome.ending == ("connect_failed", "connection refused (ECONNREFUSED)")
    assert outcome.request.sent is None
    assert outcome.tcp_infos == []


def test_a_full_backlog_is_classified() -> None:
    """With a full backlog the TCP handshake does not finish within the connect timeout."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            waiting.append(one)

        outcome = asyncio.run(ask(f"http://127.0.0.1:{full.getsockname()[1]}", workload(timeouts=SHORT)))

        for one in waiting:
            one.close()
    assert outcome.ending == ("connect_failed", "TCP handshake not finished within 200ms")


def test_an_unknown_name_is_classified() -> None:
    """A name without an address: connect_failed, without a lookup duration."""
    outcome = asyncio.run(ask("http://nowhere.invalid", workload()))

    completion, detail = outcome.ending
    assert completion == "connect_failed"
    assert detail.startswith("name lookup: ")


def test_an_overlong_name_is_classified() -> None:
    """An invalid host name is a failed lookup, not a crash."""
    completion, detail = asyncio.run(ask(f"http://{'a' * 70}.invalid", workload())).ending

    assert (completion, detail.partition(":")[0]) == ("connect_failed", "name lookup")


def test_details_are_short_and_printable() -> None:
    """A server's text becomes one line of at most 200 printable characters."""
    nasty = "\\u001b[31m\\u0000\\n\\u202e" + "long " * 200
    body = f'{{"error":{{"message":"{nasty}"}}}}'.encode()

    async def main() -> None:
        async with far_side(saying(plain("400 Bad", body))) as url:
            _, detail = (await ask(url, workload())).ending

        assert detail.startswith("400: [31m long")
        assert detail.isprintable()
        assert 190 < len(detail) <= 200

    asyncio.run(main())


def test_an_endless_response_ends_with_the_run() -> None:
    """A server that sends endless tokens at full speed does not block the loop or outlive the run."""

    async def pour(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(chunk(*[token()] * 500))
            await writer.drain()

    async def main() -> None:
        options = DriveOptions(seed=1, start=await ready(), length=300_000_000, drain=0)
        async with far_side(saying(HEAD, then=pour)) as url:
            outcome = await ask(url, workload(timeouts=SHORT), options)

        assert outcome.ending == ("cancelled", "the run ended")
        assert outcome.request.tokens > 500
        assert outcome.request.ended - options.start < 1_000_000_000

    asyncio.run(main())


def test_a_request_that_goaway_kept_from_being_sent() -> None:
    """Connections were made, and each was taken away by GOAWAY: the protocol's error, not the connection's."""
    unsent = StreamState(was_sent=False, had_headers=False, peer_closed=False)

    assert classify(UnprocessedError("ended by GOAWAY"), unsent) == ("protocol_error", "ended by GOAWAY")
    assert classify(UnprocessedError(), unsent) == ("connect_failed", "closed before anything was sent")
