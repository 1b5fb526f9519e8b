"""HTTP/2 with prior knowledge and ALPN, with own and shared connections, and how its streams end."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from far_side import (
    DONE,
    HEAD,
    Behaviour,
    ask,
    chunk,
    far_side,
    hang,
    ready,
    request,
    reset,
    token,
    until_acknowledged,
    workload,
)

from chaoskit.clock import now
from chaoskit.probe.drive import DriveOptions, Target
from chaoskit.probe.transport.foreign_bytes import HTTP1_ADVICE

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

MAKE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
HEADERS = [(":status", "200"), ("content-type", "text/event-stream")]
SHORT = {"connect": "300ms", "first-token": "300ms", "idle": "300ms"}


class Http2:
    """A server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.state.initiate_connection()
        self.is_closing = False
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent."""
        self.writer.write(self.state.data_to_send())

    async def requests(self) -> AsyncIterator[int]:
        """The numbers of the streams on which requests have wholly come, until GOAWAY was sent."""
        while (data := await self.reader.read(65536)) and not self.is_closing:
            for event in self.state.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    assert event.stream_id is not None
                    yield event.stream_id
            self.flush()

    def say(self, stream: int, *events: bytes, end: bool = False) -> None:
        """DATA, a frame for each event."""
        for event in events:
            self.state.send_data(stream, event)
        if end:
            self.state.end_stream(stream)
        self.flush()


Sender = Callable[[Http2, int], Awaitable[None]]


def speaking(told: Sender) -> Behaviour:
    """Begin a response with one token on every stream, then run `then`."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Http2(reader, writer)
        tellers: set[asyncio.Task[None]] = set()

        async def tell(stream: int) -> None:
            side.state.send_headers(stream, HEADERS)
            side.say(stream, token())
            await told(side, stream)

        with contextlib.closing(writer):
            async for stream in side.requests():
                tellers.add(asyncio.create_task(tell(stream)))
        for teller in tellers:
            teller.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await teller

    return behave


async def finish(side: Http2, stream: int) -> None:
    """The rest of a complete response."""
    side.say(stream, token(), DONE, end=True)


async def end_early(side: Http2, stream: int) -> None:
    """END_STREAM without the end marker."""
    side.say(stream, end=True)


async def rst_stream(side: Http2, stream: int) -> None:
    """RST_STREAM with INTERNAL_ERROR."""
    side.state.reset_stream(stream, error_code=2)
    side.flush()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


async def goaway(side: Http2, stream: int) -> None:
    """GOAWAY, and nothing more."""
    side.writer.write(frame(7, 0, 0, stream.to_bytes(4, "big") + bytes(4)))
    await hang(side.writer)


async def goaway_and_close(side: Http2, stream: int) -> None:
    """GOAWAY with a reason, and FIN."""
    side.writer.write(frame(7, 0, 0, stream.to_bytes(4, "big") + (11).to_bytes(4, "big")))
    await close(side, stream)


async def goaway_and_finish(side: Http2, stream: int) -> None:
    """GOAWAY, and the rest of a complete response: a draining server."""
    side.writer.write(frame(7, 0, 0, stream.to_bytes(4, "big") + bytes(4)))
    await finish(side, stream)


async def garbage(side: Http2, _: int) -> None:
    """DATA on stream 0, which is invalid; after the token has been read."""
    await asyncio.to_thread(until_acknowledged, side.writer.get_extra_info("socket"))
    side.writer.write(bytes(9))
    await hang(side.writer)


async def close(side: Http2, _: int) -> None:
    """FIN."""
    side.is_closing = True
    side.writer.write_eof()


async def break_off(side: Http2, _: int) -> None:
    """RST."""
    await reset(side.writer)


async def fall_silent(side: Http2, _: int) -> None:
    """Nothing more."""
    await hang(side.writer)


ENDINGS: dict[str, tuple[Sender, str, str]] = {
    "complete": (finish, "complete", ""),
    "no end marker": (end_early, "truncated", "the response ended without the protocol's end marker"),
    "RST_STREAM": (rst_stream, "reset", "RST_STREAM INTERNAL_ERROR"),
    "GOAWAY, then nothing": (goaway, "idle_timeout", "no token for 300ms"),
    "GOAWAY, then FIN": (goaway_and_close, "reset", "closed after GOAWAY ENHANCE_YOUR_CALM"),
    "GOAWAY, and the rest": (goaway_and_finish, "complete", ""),
    "garbage": (garbage, "protocol_error", "invalid HTTP/2: DATA for a stream that was never opened"),
    "FIN": (close, "truncated", "closed during the response"),
    "RST": (break_off, "reset", "connection reset by peer (ECONNRESET)"),
    "silence": (fall_silent, "idle_timeout", "no token for 300ms"),
}


@pytest.mark.parametrize(("told", "completion", "detail"), ENDINGS.values(), ids=ENDINGS.keys())
def test_an_end_is_classified(told: Sender, completion: str, detail: str) -> None:
    """A stream's end over HTTP/2 has its completion class, and its first token is kept."""

    async def main() -> None:
        async with far_side(speaking(told)) as url:
            patience = {"idle": "300ms"} if completion == "idle_timeout" else {}
            outcome = await ask(url, workload(http="2", timeouts=patience))

        assert outcome.ending == (completion, detail)
        assert outcome.request.http == "HTTP/2"
        assert outcome.request.tokens == (2 if completion == "complete" else 1)
        silent = ["silent"] if completion == "idle_timeout" else []
        assert [one.when for one in outcome.tcp_infos] == ["connected", "start", *silent, "end"]

    asyncio.run(main())


def test_an_http1_server_is_named_with_prior_knowledge() -> None:
    """A server that answers HTTP/2's preface in HTTP/1.1 is named at once, with what to do."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        await hang(writer)

    async def main() -> None:
        async with far_side(behave) as url:
            outcome = await ask(url, workload(http="2", timeouts={"first-token": "60s"}))

        said = "the server answers with HTTP/1.1: the port does not know HTTP/2"
        assert outcome.ending == ("protocol_error", f"invalid HTTP/2: {said}; {HTTP1_ADVICE}")

    asyncio.run(main())


def test_a_non_numeric_status_is_a_protocol_error() -> None:
    """An invalid value in a numeric header is the server's error."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Http2(reader, writer)
        side.state.config.validate_outbound_headers = False
        async for stream in side.requests():
            side.state.send_headers(stream, [(":status", "fine")])
            side.flush()

    async def main() -> None:
        async with far_side(behave) as url:
            outcome = await ask(url, workload(http="2"))

        assert outcome.ending == ("protocol_error", "invalid HTTP/2: a response without a numeric status")

    asyncio.run(main())


@pytest.mark.parametrize("over_tls", [False, True])
def test_shared_streams_have_their_own_stamps(over_tls: bool, pair: tuple[Path, Path]) -> None:
    """On a shared connection each token has the stamp of its own frame's read, however late it is consumed."""
    count, rounds = 10, 5

    async def tell(side: Http2, stream: int) -> None:
        await asyncio.sleep(stream * 0.0015)  # numbers are odd: 3 ms apart
        for _ in range(rounds):
            side.say(stream, token(sent=now()))
            await asyncio.sleep(0.03)
        side.say(stream, DONE, end=True)

    async def main() -> None:
        work = workload(http="2", connections="shared", max_concurrency=count)
        options = DriveOptions(seed=1, start=await ready(), length=None, requests=count)
        async with far_side(speaking(tell), serving(pair, "h2") if over_tls else None) as url:
            outcome = await ask(Target(url, ca_file=pair[0]), work, options)

        assert {one.completion for one in outcome.requests} == {"complete"}
        assert {one.connection for one in outcome.requests} == {0}
        assert sum(one.reused for one in outcome.requests) == count - 1
        late = [read.at - event.sent for read in outcome.reads for event in read.events if event.sent is not None]
        assert len(late) == count * rounds
        assert all(one > 0 for one in late)
        assert sorted(late)[len(late) // 2] < 1_500_000  # by turns it would be some gaps of 3 ms

    asyncio.run(main())


def test_an_idle_stream_does_not_affect_others() -> None:
    """On a shared connection only the idle stream is cancelled."""

    async def tell(side: Http2, stream: int) -> None:
        if stream == 1:
            await hang(side.writer)
        for _ in range(50):
            side.say(stream, token())
            await asyncio.sleep(0.02)
        side.say(stream, DONE, end=True)

    async def main() -> None:
        work = workload(http="2", connections="shared", max_concurrency=3, timeouts=SHORT)
        options = DriveOptions(seed=1, start=await ready(), length=None, requests=3)
        async with far_side(speaking(tell)) as url:
            outcome = await ask(url, work, options)

        assert sorted(one.completion for one in outcome.requests) == ["complete", "complete", "idle_timeout"]

    asyncio.run(main())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*MAKE.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def serving(pair: tuple[Path, Path], *protocols: str) -> ssl.SSLContext:
    """A server's context that offers these protocols."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def test_alpn_selects_http2(pair: tuple[Path, Path]) -> None:
    """Over TLS the version is negotiated, the handshake is timed, and stamps are still the kernel's."""

    async def tell(side: Http2, stream: int) -> None:
        side.say(stream, token(sent=now()))
        side.say(stream, DONE, end=True)

    async def main() -> None:
        async with far_side(speaking(tell), serving(pair, "h2")) as url:
            outcome = await ask(Target(url, ca_file=pair[0]), workload(http="2"))

        assert outcome.ending == ("complete", "")
        assert outcome.request.http == "HTTP/2"
        assert outcome.request.tls_duration is not None
        (late,) = [read.at - e.sent for read in outcome.reads for e in read.events if e.sent is not None]
        assert 0 < late < 50_000_000

    asyncio.run(main())


def test_an_untrusted_certificate_is_classified(pair: tuple[Path, Path]) -> None:
    """An untrusted certificate: connect_failed, with the reason."""

    async def main() -> None:
        async with far_side(speaking(finish), serving(pair)) as url:
            outcome = await ask(url, workload())

        assert outcome.ending == ("connect_failed", "TLS certificate: self-signed certificate")
        assert outcome.request.connect_duration is not None

    asyncio.run(main())


def test_tls_to_a_plain_port_is_classified() -> None:
    """A server without TLS: connect_failed; one that sends nothing: after the connect timeout."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await hang(writer)

    async def leave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(10)

    async def ignore(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hang(writer)

    async def main() -> None:
        details = []
        for behaviour in (greet, leave, ignore):
            async with far_side(behaviour) as url:
                patience = SHORT if behaviour is ignore else {}
                outcome = await ask(url.replace("http:", "https:"), workload(timeouts=patience))
            assert outcome.ending[0] == "connect_failed"
            details.append(outcome.ending[1])

        assert details == [
            "TLS: wrong version number",
            "closed during the TLS handshake",
            "TLS handshake not finished within 300ms",
        ]

    asyncio.run(main())


def test_tls_failures_are_classified(pair: tuple[Path, Path]) -> None:
    """A TLS stream that ends without close_notify, or with an invalid record, has its completion class."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(HEAD + chunk(token()))
        await writer.drain()
        writer.get_extra_info("socket")._sock.shutdown(1)
        await hang(writer)

    async def scramble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(HEAD + chunk(token()))
        await writer.drain()
        writer.get_extra_info("socket")._sock.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        await hang(writer)

    async def main() -> None:
        endings = []
        for behaviour in (cut, scramble):
            async with far_side(behaviour, serving(pair)) as url:
                endings.append((await ask(Target(url, ca_file=pair[0]), workload())).ending)

        assert endings == [
            ("truncated", "closed without TLS's close_notify"),
            ("protocol_error", "TLS: decryption failed or bad record mac"),
        ]

    asyncio.run(main())
