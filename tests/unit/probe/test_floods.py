"""A server that sends too much ends only its own stream, in bounded memory."""

import asyncio
import contextlib
import itertools
import ssl
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from far_side import END, HEAD, Behaviour, Outcome, ask, chunk, far_side, ready, request, saying, token, workload
from test_http2 import HEADERS, Http2, frame, pair, serving, speaking  # noqa: F401  `pair` is a fixture

from chaoskit.probe.drive import DriveOptions, Target
from chaoskit.probe.framing import BodyParser

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

LIMITS = {"events": 1000, "body": "200kB", "event": "20kB", "headers": "10kB"}
STARTED = HEAD + chunk(token())
LINES = b"id: 1\n" * 2500
WINDOW = 1 << 24  # bytes that a server may send on a stream without an answer
Flood = Callable[[asyncio.StreamWriter], Awaitable[None]]


def without_end(bytes_: bytes) -> Flood:
    """Send the same bytes endlessly."""
    many = bytes_ * (20_000 // len(bytes_) + 1)

    async def flood(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(many)
            await writer.drain()

    return flood


FLOODS: dict[str, tuple[Behaviour, str]] = {
    "headers": (saying(b"HTTP/1.1 200 OK\r\n", then=without_end(b"x-more: y\r\n")), "headers of more than 10kB"),
    "one header": (saying(b"HTTP/1.1 200 OK\r\nx: ", then=without_end(b"y")), "headers of more than 10kB"),
    "a status line": (saying(b"HTTP/1.1 200 ", then=without_end(b"O")), "headers of more than 10kB"),
    "informational responses": (
        saying(then=without_end(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")), "headers of more than 10kB",
    ),
    "events": (saying(STARTED, then=without_end(chunk(token()))), "more than 1000 events and comments"),
    "comments": (saying(STARTED, then=without_end(chunk(b":\n"))), "more than 1000 events and comments"),
    "comments before a token": (saying(HEAD, then=without_end(chunk(b":\n"))), "more than 1000 events and comments"),
    "a line": (saying(HEAD, then=without_end(chunk(b"x" * 100))), "a line of more than 20kB"),
    "a line, byte by byte": (saying(HEAD, then=without_end(chunk(b"x"))), "a line of more than 20kB"),
    "an event": (saying(HEAD, then=without_end(chunk(b"data: " + b"x" * 100 + b"\n"))), "an event of more than 20kB"),
    "lines that say nothing": (saying(HEAD, then=without_end(chunk(b"id: 1\n"))), "a body of more than 200kB"),
    "chunk extensions": (
        saying(HEAD, then=without_end(b"1;" + b"x" * 5000 + b"\r\nx\r\n")), "a body of more than 200kB",
    ),
    "one chunk extension": (saying(HEAD + b"1;", then=without_end(b"x")), "a line of chunked coding, or trailers"),
    "trailers": (saying(HEAD + b"0\r\n", then=without_end(b"x: y\r\n")), "a line of chunked coding, or trailers"),
}  # fmt: skip


def flooded(behaviour: Behaviour, **words: Any) -> Outcome:
    """One stream, with small limits and timeouts of half a minute."""

    async def main() -> Outcome:
        patience = {"connect": "30s", "first-token": "30s", "idle": "30s"}
        async with far_side(behaviour) as url:
            return await ask(url, workload(limits=LIMITS, timeouts=patience, **words))

    return asyncio.run(main())


@pytest.mark.parametrize(("behaviour", "detail"), FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_ends_as_too_large(behaviour: Behaviour, detail: str) -> None:
    """Everything that a server can send endlessly has a bound, and the detail names it."""
    outcome = flooded(behaviour)

    assert outcome.request.completion == "too_large"
    assert outcome.request.detail.startswith(detail)


def over_http2(*bytes_: bytes) -> Behaviour:
    """Begin a response on stream 1, send `first`, and repeat the last frame endlessly."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Http2(reader, writer)
        async for stream in side.requests():
            side.state.send_headers(stream, HEADERS)
            side.flush()
            writer.writelines(bytes_[:-1])
            reading = asyncio.create_task(reader.read(1 << 30))  # answers to PING and SETTINGS are taken
            try:
                await without_end(bytes_[-1])(writer)
            finally:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading

    return behave


FRAMES = "more than 10000 HTTP/2 frames without data"
HTTP2_FLOODS: dict[str, tuple[Behaviour, str]] = {
    "PING": (over_http2(frame(6, 0, 0, b"12345678")), FRAMES),
    "SETTINGS": (over_http2(frame(4, 0, 0, b"\0\x0a\0\0\0\1")), FRAMES),
    "WINDOW_UPDATE": (over_http2(frame(8, 0, 0, b"\0\0\0\1") + frame(6, 0, 0, b"12345678")), FRAMES),
    "PRIORITY": (over_http2(frame(2, 0, 1, b"\0\0\0\3\1")), FRAMES),
    "unknown frames": (over_http2(frame(99, 0, 0, b"")), FRAMES),
    "empty DATA": (over_http2(frame(0, 0, 1, b"")), FRAMES),
    "padded empty DATA": (over_http2(frame(0, 8, 1, b"\2\0\0")), FRAMES),
    "CONTINUATION": (over_http2(frame(1, 0, 1, b""), frame(9, 0, 1, b"x" * 5000)), "headers of more than 10kB"),
    "events": (over_http2(frame(0, 0, 1, token())), "more than 1000 events and comments"),
    "lines that say nothing": (over_http2(frame(0, 0, 1, b"id: 1\n")), "a body of more than 200kB"),
}


@pytest.mark.parametrize(("behaviour", "detail"), HTTP2_FLOODS.values(), ids=HTTP2_FLOODS.keys())
def test_a_flood_of_http2_ends_as_too_large(behaviour: Behaviour, detail: str) -> None:
    """Frames without data are bounded as well."""
    outcome = flooded(behaviour, http="2")

    assert outcome.ending == ("too_large", detail)


def test_an_hpack_bomb_is_too_large() -> None:
    """A few bytes of HPACK that decode to a long list of headers are rejected."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Http2(reader, writer)
        async for stream in side.requests():
            side.state.send_headers(stream, [*HEADERS, *[("x-long", "y" * 3000)] * 100])
            side.flush()

    outcome = flooded(behave, http="2")

    assert outcome.ending == ("too_large", "headers of more than 65536 bytes")


@pytest.mark.parametrize(
    "behaviour", [FLOODS["comments"][0], FLOODS["a line"][0], FLOODS["informational responses"][0]]
)
def test_a_flood_takes_bounded_memory(behaviour: Behaviour) -> None:
    """The peak memory of a flood does not grow with its length."""

    async def main() -> int:
        limits = {"events": 200_000, "body": "50MB", "event": "1MB", "headers": "500kB"}
        async with far_side(behaviour) as url:
            tracemalloc.start()
            try:
                await ask(url, workload(limits=limits))
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert asyncio.run(main()) < 40_000_000


@pytest.mark.parametrize("connections", ["fresh", "kept", "shared"])
def test_a_flood_ends_only_its_own_stream(connections: str) -> None:
    """Other streams complete, also on the same connection, while the flood continues."""

    async def tell(side: Http2, stream: int) -> None:
        if not floods:
            floods.append(stream)
            for _ in range(WINDOW // len(LINES)):  # whatever the probe says to it
                side.writer.write(frame(0, 0, stream, LINES))
                await asyncio.sleep(0)
            used_up.set()
        while not used_up.is_set():
            side.say(stream, token())
            await asyncio.sleep(0.05)
        for _ in range(5):
            side.say(stream, token())
            await asyncio.sleep(0.02)
        side.say(stream, b"data: [DONE]\n\n", end=True)

    floods: list[int] = []
    used_up = asyncio.Event()  # the flood has taken all of its window

    async def main() -> None:
        work = workload(http="2", connections=connections, max_concurrency=3, limits=LIMITS, timeouts={"idle": "1s"})
        options = DriveOptions(seed=1, start=await ready(), length=None, requests=3)
        async with far_side(speaking(tell)) as url:
            outcome = await ask(url, work, options)

        assert sorted(one.completion for one in outcome.requests) == ["complete", "complete", "too_large"]

    asyncio.run(main())


def test_parsing_byte_by_byte_is_linear() -> None:
    """A long line in a million chunks is not copied repeatedly."""
    parser = BodyParser(1 << 20)
    began = time.process_time()

    for _ in itertools.repeat(None, 1 << 19):
        parser.feed(b"x")

    assert time.process_time() - began < 5


def test_an_endless_tls_handshake_is_rejected() -> None:
    """A server that sends handshake messages without end gets no connection."""
    hello_requests = b"\x16\x03\x03\x40\x00" + bytes(0x4000)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        await without_end(hello_requests)(writer)

    async def main() -> Outcome:
        async with far_side(behave) as url:
            return await ask(url.replace("http:", "https:"), workload(timeouts={"connect": "30s"}))

    assert asyncio.run(main()).ending == ("connect_failed", "a TLS handshake of more than 1048576 bytes")


def test_tls_without_data_is_too_large(pair: tuple[Path, Path]) -> None:  # noqa: F811
    """Endless session tickets are bounded."""
    context = serving(pair, "http/1.1")
    context.num_tickets = 30_000

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(STARTED + END)

    async def main() -> Outcome:
        async with far_side(behave, context) as url:
            return await ask(Target(url, ca_file=pair[0]), workload(timeouts={"first-token": "30s"}))

    assert ssl.HAS_TLSv1_3
    assert asyncio.run(main()).ending == ("too_large", "more than 1048576 bytes of TLS without data")
