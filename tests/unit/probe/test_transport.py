"""What the client does on its own is told, and costs nothing: connections that die, wait or are made anew."""

import asyncio
import contextlib
import itertools
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import h2.events
import h2.settings
import httpx
import pytest
from far_side import (
    DONE,
    END,
    HEAD,
    Behaviour,
    Outcome,
    ask,
    chunk,
    far_side,
    hang,
    ready,
    request,
    saying,
    token,
    workload,
)
from test_connection import Watcher
from test_http2 import Http2, finish, frame, pair, serving, speaking  # noqa: F401  `pair` is a fixture

from chaoskit.errors import SpecError
from chaoskit.probe.client import connect_options
from chaoskit.probe.completion import connect_advice
from chaoskit.probe.drive import DriveOptions, Target
from chaoskit.probe.transport.exchange import Limits
from chaoskit.probe.transport.pool import EXTENSION, Call, Transport
from chaoskit.probe.transport.stamps import StampClock
from chaoskit.units import Size

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

GOOD = HEAD + chunk(token(), DONE) + END
MS = 1_000_000
NODE = """
const server = require('http2').createServer();
server.on('stream', stream => {
  stream.respond({':status': 200, 'content-type': 'text/event-stream'});
  setTimeout(() => stream.write('data: {"choices":[{"delta":{"content":"x"}}]}\\n\\n'), 300);
  setTimeout(() => stream.end('data: [DONE]\\n\\n'), 400);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


async def asked(url: str, count: int, **words: object) -> Outcome:
    """A drive of `count` requests."""
    options = DriveOptions(seed=1, start=await ready(), length=None, requests=count)
    return await ask(url, workload(**words), options)


@contextlib.contextmanager
def full(host: str, port: int, family: socket.AddressFamily) -> Iterator[socket.socket]:
    """A listener whose handshakes get no answer, because its backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port), family=family, backlog=0))
        for _ in range(4):
            one = stack.enter_context(socket.socket(family))
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener


def ignoring_the_rest(behave: Behaviour) -> Behaviour:
    """The same for those who ask; others may leave."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await behave(reader, writer)

    return one


def test_a_dead_address_costs_a_quarter_of_a_second() -> None:
    """An address that does not answer is passed after 250 ms, as RFC 8305 says, and the record names it."""

    async def main() -> None:
        async with far_side(saying(GOOD)) as url:
            port = int(url.rpartition(":")[2])
            with full("::1", port, socket.AF_INET6):
                found = await ask(Target(url, addresses=("::1", "127.0.0.1")), workload())

        assert found.ending == ("complete", "")
        assert found.request.unreachable == ("::1",)
        assert found.request.connect_duration is not None
        assert 250 * MS <= found.request.connect_duration < 600 * MS

    asyncio.run(main())


def test_a_slow_address_may_still_win() -> None:
    """An address that accepts late, and before the others, is used; nothing is unreachable."""

    async def main() -> None:
        with contextlib.ExitStack() as stack:
            slow = stack.enter_context(full("127.0.0.1", 0, socket.AF_INET))
            port = slow.getsockname()[1]
            stack.enter_context(full("::1", port, socket.AF_INET6))
            target = Target(f"http://nowhere.invalid:{port}", addresses=("127.0.0.1", "::1"))
            asking = asyncio.create_task(ask(target, workload(timeouts={"connect": "5s"})))
            await asyncio.sleep(0.5)
            slow.setblocking(False)
            async with await asyncio.start_server(ignoring_the_rest(saying(GOOD)), sock=slow):
                found = await asking

        assert found.ending == ("complete", "")
        assert found.request.unreachable == ()
        assert found.request.connect_duration is not None
        assert found.request.connect_duration > 500 * MS

    asyncio.run(main())


def test_every_dead_address_is_a_failed_connection() -> None:
    """When no address answers, the connect timeout says so; nothing is unreachable beside another one."""

    async def main() -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            with full("::1", port, socket.AF_INET6):
                target = Target(f"http://127.0.0.1:{port}", addresses=("127.0.0.1", "::1"))
                found = await ask(target, workload(timeouts={"connect": "700ms"}))

        assert found.ending == ("connect_failed", "TCP handshake not finished within 700ms")
        assert not found.request.unreachable

    asyncio.run(main())


def test_goaway_lets_streams_finish() -> None:
    """Streams up to GOAWAY's last one finish, one beyond it is sent again, the next take a new connection."""
    connections = itertools.count()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side, number = Http2(reader, writer), next(connections)
        streams = side.requests()
        first = await anext(streams)
        side.state.send_headers(first, [(":status", "200"), ("content-type", "text/event-stream")])
        side.say(first, token())
        if number == 0:
            await anext(streams)
            writer.write(frame(7, 0, 0, first.to_bytes(4, "big") + bytes(4)))
            await asyncio.sleep(0.1)
        side.say(first, token(), DONE, end=True)
        async for stream in streams:
            side.state.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
            side.say(stream, token(), DONE, end=True)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await asked(url, 4, http="2", connections="shared", max_concurrency=2)

        assert [one.completion for one in found.requests] == ["complete"] * 4
        assert sorted(one.connection or 0 for one in found.requests) == [0, 1, 1, 1]
        assert not any(one.reconnected for one in found.requests)

    asyncio.run(main())


def test_data_after_the_servers_own_goaway_is_a_protocol_error() -> None:
    """DATA for a stream above GOAWAY's last one breaks RFC 9113; the request itself is answered elsewhere."""
    connections = itertools.count()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side, number = Http2(reader, writer), next(connections)
        streams = side.requests()
        if number == 0:
            first, second = await anext(streams), await anext(streams)
            side.state.send_headers(first, [(":status", "200"), ("content-type", "text/event-stream")])
            side.say(first, token())
            writer.write(frame(7, 0, 0, first.to_bytes(4, "big") + bytes(4)) + frame(0, 0, second, token()))
        async for stream in streams:
            side.state.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
            side.say(stream, token(), DONE, end=True)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await asked(url, 2, http="2", connections="shared", max_concurrency=2)

        said = "invalid HTTP/2: DATA for a stream above the last one of the server's own GOAWAY"
        endings = sorted((one.completion, one.detail) for one in found.requests)
        assert endings == [("complete", ""), ("protocol_error", said)]

    asyncio.run(main())


def test_no_limit_of_streams_is_no_limit(tmp_path: Path) -> None:
    """Node's server names no MAX_CONCURRENT_STREAMS: on a shared connection all streams run at once, none waits."""
    node = shutil.which("node")
    assert node, "node is missing: apt-get install nodejs"
    (tmp_path / "server.js").write_text(NODE)

    async def main(url: str) -> None:
        found = await asked(url, 150, http="2", connections="shared", max_concurrency=150)

        assert {one.completion for one in found.requests} == {"complete"}
        assert {one.connection for one in found.requests} == {0}
        waits = [one.first_token - one.sent for one in found.requests if one.first_token and one.sent]
        assert len(waits) == 150
        assert sorted(waits)[75] < 600 * MS
        assert sum(one.queue_duration or 0 for one in found.requests) < 50 * MS

    with subprocess.Popen([node, tmp_path / "server.js"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            asyncio.run(main(f"http://127.0.0.1:{int(server.stdout.readline())}"))
        finally:
            server.kill()


def test_a_wait_in_the_client_is_named() -> None:
    """What a server's MAX_CONCURRENT_STREAMS makes a request wait is its `queue_duration`, before it is sent."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Http2(reader, writer)
        limits: dict[h2.settings.SettingCodes | int, int] = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1}
        side.state.update_settings(limits)
        side.flush()
        async for stream in side.requests():
            await asyncio.sleep(0.2)
            if stream == 1:  # from now on two
                side.state.update_settings(dict.fromkeys(limits, 2))
            side.state.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
            side.say(stream, token(), DONE, end=True)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await asked(url, 3, http="2", connections="shared", request_rate="10/s", burstiness=0)

        first, second, third = sorted(found.requests, key=lambda one: one.stream)
        assert [one.completion for one in found.requests] == ["complete"] * 3
        assert first.queue_duration is None
        assert second.queue_duration is not None
        assert 50 * MS < second.queue_duration < 190 * MS
        assert second.sent is not None
        assert second.sent - second.started >= second.queue_duration
        assert third.connection == 0

    asyncio.run(main())


def test_a_stream_that_never_gets_its_turn_is_not_the_servers_failure() -> None:
    """A request that waited in this client until its timeout says so, and is no failed handshake."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Http2(reader, writer)
        side.state.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        side.flush()
        async for stream in side.requests():
            side.state.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
            side.say(stream, token())

    async def main() -> None:
        patience = {"connect": "300ms", "first-token": "3s", "idle": "2s"}
        async with far_side(behave) as url:
            words = {"connections": "shared", "request_rate": "10/s", "burstiness": 0}
            found = await asked(url, 2, http="2", timeouts=patience, **words)

        second = next(one for one in found.requests if one.stream == 1)
        assert second.completion == "client_error"
        assert second.detail.startswith("waited 300ms in this client, and was never sent: the server allows 1 stream")
        assert second.sent is None

    asyncio.run(main())


def test_an_answer_before_its_question_is_a_protocol_error() -> None:
    """Bytes that are left over on a kept connection are no answer to the next request: no negative latency."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(GOOD)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(GOOD)
        await hang(writer)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await asked(url, 2, connections="kept", request_rate="10/s", burstiness=0)

        first, second = found.requests
        assert first.completion == "complete"
        assert second.completion == "protocol_error"
        assert "before the next request on a kept connection" in second.detail
        assert second.first_token is None

    asyncio.run(main())


@pytest.mark.parametrize("when", ["while idle", "when asked", "with a farewell"])
def test_a_kept_connection_that_the_server_closed_is_taken_anew(when: str) -> None:
    """A request on a connection that the server had closed is sent on a new one, once, and its record says so."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(GOOD)
        await writer.drain()
        if when == "when asked":
            await request(reader)
        if when == "with a farewell":
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    async def main() -> None:
        async with far_side(behave) as url:
            found = await asked(url, 3, connections="kept", request_rate="10/s", burstiness=0)

        assert [one.completion for one in found.requests] == ["complete"] * 3
        assert [one.reconnected for one in found.requests] == [False, True, True]
        assert [one.reused for one in found.requests] == [False] * 3
        assert [one.connection for one in found.requests] == [0, 1, 2]

    asyncio.run(main())


def test_a_new_connection_that_is_closed_is_not_taken_anew() -> None:
    """A server that answers nothing on a new connection gets no second request."""
    came = itertools.count()

    async def behave(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await request(reader)
        next(came)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await asked(url, 1, connections="kept")

        assert found.ending == ("truncated", "closed before any response")
        assert next(came) == 1

    asyncio.run(main())


GARBAGE = {
    "a TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", "a TLS alert or handshake: the port speaks TLS, write https://"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2p1\r\n", "'SSH-2.0-OpenSSH_9.2p1', which is no HTTP"),
    "a byte": (b"\xff\xfe\x00", "bytes ff fe 00, which is no HTTP"),
    "RTSP": (b"RTSP/1.0 200 OK\r\n\r\n", "'RTSP/1.0 200 OK', which is no HTTP"),
    "HTTP/2": (frame(4, 0, 0, b""), "HTTP/2; ask for HTTP/2: --http 2, in a file http: 2"),
    "a wrong chunk": (HEAD + b"xyz\r\n", "invalid HTTP in the body: invalid character in chunk size"),
}


@pytest.mark.parametrize("speaks_first", [False, True])
@pytest.mark.parametrize(("said", "words"), GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_named_at_once(said: bytes, words: str, speaks_first: bool) -> None:
    """What is no HTTP ends its stream at once with a sentence that says what it is."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not speaks_first:
            await request(reader)
        writer.write(said)
        await hang(writer)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await ask(url, workload(timeouts={"first-token": "60s"}))

        assert found.request.completion == "protocol_error"
        assert words in found.request.detail or (speaks_first and "came before the request" in found.request.detail)

    asyncio.run(main())


def test_tls_to_a_plain_http_port_is_named() -> None:
    """A server that answers TLS's first message in plain HTTP is told apart from one that breaks TLS."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await hang(writer)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await ask(url.replace("http:", "https:"), workload())

        expected = "TLS: the server answers in plain HTTP: http:// instead of https://"
        assert found.ending == ("connect_failed", expected)

    asyncio.run(main())


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_head_and_body_leave_in_one_segment(http: str) -> None:
    """A request that fits into one segment is one: the server's first read has all of it."""
    came: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            came.append(peer.recv(65536))

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving_one = asyncio.create_task(asyncio.to_thread(serve, listener))
            await ask(f"http://127.0.0.1:{listener.getsockname()[1]}", workload(http=http))
            await serving_one

    asyncio.run(main())

    assert b'"messages"' in came[0]
    assert came[0].endswith(b"}")


def test_a_large_prompt_waits_for_the_servers_window() -> None:
    """Over HTTP/2 a request that is larger than the server's window leaves as the window opens, and is timed."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Http2(reader, writer)
        size = 0
        while size < 300_000:
            for event in side.state.receive_data(await reader.read(65536)):
                if isinstance(event, h2.events.DataReceived):
                    size += len(event.data)
                    await asyncio.sleep(0.001)
                    side.state.acknowledge_received_data(event.flow_controlled_length, 1)
            side.flush()
        side.state.send_headers(1, [(":status", "200"), ("content-type", "text/event-stream")])
        await finish(side, 1)
        await hang(writer)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await ask(url, workload(http="2", prompt_size="300kB"))

        assert found.ending == ("complete", "")
        assert found.request.upload_duration is not None
        assert found.request.upload_duration > 10 * MS

    asyncio.run(main())


def test_streams_of_a_closed_loop_do_not_wait_for_each_other() -> None:
    """A hundred streams that start together start one after the other: their own latency stays what the server's is."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await asyncio.sleep(0.3)  # until all have begun
        writer.write(GOOD)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await asked(url, 100, max_concurrency=100)

        scheduled = sorted(one.scheduled for one in found.requests)
        assert scheduled == [scheduled[0] + number * MS for number in range(100)]

    asyncio.run(main())


@contextlib.asynccontextmanager
async def proxy(*refusal: bytes) -> AsyncIterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """An HTTP proxy, its URL and the heads that it got."""
    heads: list[tuple[str, dict[str, str]]] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        heads.append((first, headers))
        if refusal:
            writer.write(refusal[0])
            return
        method, where, _ = first.split(" ")
        if method != "CONNECT":
            writer.write(GOOD)
            return
        there, back = await asyncio.open_connection(*where.split(":"))
        with contextlib.closing(back):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_copy(reader, back), _copy(there, writer))

    async with far_side(behave) as url:
        yield url, heads


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            to.write(data)
        to.write_eof()


def test_a_proxy_carries_https_in_a_tunnel(pair: tuple[Path, Path]) -> None:  # noqa: F811
    """CONNECT names host and port, with the password of the proxy's URL; TLS is the server's own."""

    async def main() -> None:
        async with far_side(saying(GOOD), serving(pair, "http/1.1")) as url, proxy() as (through, heads):
            target = Target(url, ca_file=pair[0], proxy=through.replace("//", "//me:secret@"))
            found = await ask(target, workload())

        assert found.ending == ("complete", "")
        where = url.partition("//")[2]
        ((first, headers),) = heads
        assert first == f"CONNECT {where} HTTP/1.1"
        assert headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
        assert "secret" not in found.everything
        assert "bWU6c2VjcmV0" not in found.everything

    asyncio.run(main())


def test_a_proxy_carries_http_by_its_whole_url() -> None:
    """A plain request goes to the proxy with the whole URL, as curl sends it; over HTTP/2 it takes a tunnel."""

    async def main() -> None:
        async with proxy() as (through, heads):
            found = await ask(Target("http://nowhere.invalid:81/x", proxy=through), workload())

        assert found.ending == ("complete", "")
        assert heads[0][0] == "POST http://nowhere.invalid:81/x HTTP/1.1"
        async with far_side(speaking(finish)) as url, proxy() as (through, heads):
            found = await ask(Target(url, proxy=through), workload(http="2"))

        assert found.ending == ("complete", "")
        assert heads[0][0].startswith("CONNECT 127.0.0.1:")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("proxy_url", "sentence"),
    [
        ("socks5://127.0.0.1:1080", "only http:// proxies are known, which also carry https"),
        ("http://me:secret@/", "is not a URL of a proxy; write for example http://127.0.0.1:3128"),
    ],
)
def test_what_cannot_be_a_proxy_is_refused(proxy_url: str, sentence: str) -> None:
    """It is refused before anything is sent, without its password."""
    with pytest.raises(SpecError) as caught:
        asyncio.run(ask(Target("http://127.0.0.1:9", proxy=proxy_url), workload()))

    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)


def test_http1_instead_of_http2_is_remarked(pair: tuple[Path, Path]) -> None:  # noqa: F811
    """A server that chooses HTTP/1.1 in TLS although HTTP/2 was asked for is measured, and it is told."""

    async def main() -> None:
        async with far_side(saying(GOOD), serving(pair, "http/1.1")) as url:
            found = await ask(Target(url, ca_file=pair[0]), workload(http="2", connections="shared"))

        assert found.ending == ("complete", "")
        assert found.request.http == "HTTP/1.1"
        assert "HTTP/1.1, though HTTP/2 was asked for: the server chose it in TLS" in found.request.remarks

    asyncio.run(main())


def test_any_httpx_client_can_use_the_transport() -> None:
    """It is an ordinary transport of httpx: an ordinary client reads status and body through it."""

    async def main() -> None:
        options, clock = connect_options(Target(""), None), StampClock()
        transport = Transport(options, clock, Limits(Size(10_000), Size(10_000)), "1.1", "kept")
        async with far_side(saying(GOOD)) as url, httpx.AsyncClient(transport=transport) as client:
            call = Call(Watcher(), [])
            async with client.stream("GET", url, extensions={EXTENSION: call}) as response:
                body = b"".join([part async for part in response.aiter_raw()])
        clock.close()

        assert response.status_code == 200
        assert body == token() + DONE

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "the proxy refuses a tunnel to there.invalid:443: 407 P",
        ),
        (b"SOCKS?\r\n\r\n", "the proxy answers CONNECT with 'SOCKS?', which is no HTTP"),
        (b"", "the proxy closed the connection without an answer"),
    ],
)
def test_a_proxy_that_refuses_is_named(answer: bytes, detail: str) -> None:
    """A refusal of the proxy is a failed connection that names the proxy, not the target."""

    async def main() -> None:
        async with proxy(answer) as (through, _):
            found = await ask(Target("https://there.invalid", proxy=through), workload())

        assert found.request.completion == "connect_failed"
        assert found.request.detail.startswith(detail)
        assert "check the proxy" in connect_advice(found.request.detail)

    asyncio.run(main())


def test_a_unix_socket_is_a_target(tmp_path: Path) -> None:
    """A server behind a Unix socket is measured; it has no TCP_INFO."""

    async def main() -> None:
        server = await asyncio.start_unix_server(ignoring_the_rest(saying(GOOD)), tmp_path / "s")
        async with server:
            found = await ask(Target("http://localhost", uds=tmp_path / "s"), workload())

        assert found.ending == ("complete", "")
        assert [one.fields for one in found.tcp_infos] == [{}, {}, {}]

    asyncio.run(main())


def test_a_certificate_without_its_key_is_refused(pair: tuple[Path, Path]) -> None:  # noqa: F811
    """A client certificate whose key is missing or another's is refused before anything is sent."""
    for key in (None, pair[0]):
        target = Target("https://127.0.0.1:9", client_cert=pair[0], client_key=key)
        with pytest.raises(SpecError, match=r"cert.pem: no certificate with its key( \(.*\))?; give both in PEM"):
            asyncio.run(ask(target, workload()))


def test_certificates_can_be_accepted_unverified_and_shown(pair: tuple[Path, Path]) -> None:  # noqa: F811
    """Without verification any certificate will do; a client certificate is shown to a server that asks for one."""

    async def main() -> None:
        context = serving(pair, "http/1.1")
        async with far_side(saying(GOOD), context) as url:
            assert (await ask(Target(url, verify=False), workload())).ending == ("complete", "")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pair[0])
        async with far_side(saying(GOOD), context) as url:
            target = Target(url, ca_file=pair[0], client_cert=pair[0], client_key=pair[1])
            assert (await ask(target, workload())).ending == ("complete", "")
            assert (await ask(Target(url, ca_file=pair[0]), workload())).request.completion != "complete"

    asyncio.run(main())
