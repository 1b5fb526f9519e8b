"""No bytes of a client crash the server, write to its stderr, or take more than their share."""

import contextlib
import json
import re
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from hostile import GOOD, PREFACE, Http2Client, everything, frame, request, settings
from hpack import Encoder
from serving import SCRIPT, Running, running

from chaoskit import clock
from chaoskit.server.certificates import context
from chaoskit.server.frame_limits import FrameMeter
from chaoskit.server.limits import PUBLIC
from chaoskit.server.requests import Reply, Request
from chaoskit.server.routes import parse
from chaoskit.units import Duration

pytestmark = pytest.mark.flaky(reruns=2)  # real time, on a machine that others use

ENHANCE_YOUR_CALM = 11
LONG = request(1, "/sse?tokens=100000")


def said(server: Running, *pieces: bytes) -> Http2Client:
    """A client that has sent this after the preface, and read to the end."""
    with server.connect() as sock:
        client = Http2Client(sock)
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
        client.read_to_end()
    return client


def is_well(server: Running) -> bool:
    """Whether a valid client of either HTTP version is answered."""
    with server.connect() as sock:
        sock.sendall(GOOD)
        assert everything(sock).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    with server.connect() as sock:
        client = Http2Client(sock)
        number = client.ask("/sse?tokens=2")
        client.read_until(lambda: number in client.ended)
        return client.bodies[number].endswith(b"data: [DONE]\n\n")


FLOODS = {
    "rapid reset": lambda: [request(n) + frame(3, 0, n, b"\0\0\0\x08") for n in range(1, 2200, 2)],
    "PING": lambda: [frame(6, 0, 0, b"12345678") for _ in range(1100)],
    "PING acknowledged": lambda: [frame(6, 1, 0, b"12345678") for _ in range(1100)],
    "SETTINGS": lambda: [settings(window=n % 2) for n in range(110)],
    "SETTINGS acknowledged": lambda: [frame(4, 1, 0) for _ in range(110)],
    "PRIORITY": lambda: [frame(2, 0, 3 + 2 * n, b"\0\0\0\1\0") for n in range(1100)],
    "empty DATA": lambda: [request(1, end=False), *(frame(0, 0, 1) for _ in range(1100))],
    "CONTINUATION": lambda: [request(1)[:4] + b"\1" + request(1)[5:], *(frame(9, 0, 1, b"x" * 99) for _ in range(200))],
    "empty CONTINUATION": lambda: [frame(1, 1, 1, b"\x82"), *(frame(9, 0, 1) for _ in range(1100))],
    "unknown": lambda: [frame(77, 0, 0, b"x") for _ in range(1100)],
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_gets_enhance_your_calm(server: Running, kind: str) -> None:
    """Floods of frames without data end their connection, and nothing else."""
    client = said(server, b"".join(FLOODS[kind]()))

    assert client.goaway in ([ENHANCE_YOUR_CALM, 1] if "CONTINUATION" in kind else [ENHANCE_YOUR_CALM])
    assert is_well(server)


def test_resets_by_the_server_count_too(server: Running) -> None:
    """Streams that a client makes the server reset count as its own resets."""
    client = said(
        server, *(request(n, "/sse?tokens=9") + frame(8, 0, n, b"\x7f\xff\xff\xff") for n in range(1, 2200, 2))
    )

    assert client.goaway == ENHANCE_YOUR_CALM
    assert is_well(server)


def test_frames_are_counted_for_any_split() -> None:
    """The meter has the same result for single bytes and for all at once, and refills with time."""
    flood = PREFACE + b"".join(FLOODS["PING"]())
    limits = replace(PUBLIC, frames=1050)

    for step in (1, 7, 10_000, len(flood)):
        meter = FrameMeter(limits)
        judged = [meter.is_flood(flood[at : at + step], 1) for at in range(0, len(flood), step)]
        assert judged.count(True) >= 1
        assert sum(not flooded for flooded in judged) in (len(judged) - 1, judged.index(True))
    patient = FrameMeter(limits)
    patient.is_flood(PREFACE, 0)
    assert not any(patient.is_flood(flood[at : at + 17], at * 10**9) for at in range(len(PREFACE), len(flood), 17))


WRONG = {
    "an overflow of the connection's window": [frame(8, 0, 0, b"\x7f\xff\xff\xff")],
    "an overflow of a stream's window": [LONG, frame(8, 0, 1, b"\x7f\xff\xff\xff")],
    "a window of nothing": [LONG, frame(8, 0, 1, b"\0\0\0\0"), frame(8, 0, 0, b"\0\0\0\0")],
    "an initial window that overflows": [LONG, frame(8, 0, 1, b"\x7f\0\0\0"), settings(window=2**31 - 1)],
    "an initial window beyond the bound": [settings(window=2**32 - 1)],
    "windows that shrink below nothing": [LONG, settings(window=0), LONG.replace(b"\1", b"\3"), settings(window=1)],
    "a frame size of nothing": [settings(size=0), LONG],
    "a push": [settings(push=7), frame(5, 4, 1, b"\0\0\0\2\x82")],
    "an even stream": [request(2)],
    "stream 0": [frame(0, 0, 0, b"x"), frame(1, 5, 0, b"\x82")],
    "a stream again": [request(1, "/v1/models"), request(1, "/v1/models")],
    "a lower stream": [request(9, "/v1/models"), request(3, "/v1/models")],
    "DATA without a stream": [frame(0, 1, 5, b"x")],
    "DATA after the end": [LONG, frame(0, 1, 1, b"x")],
    "DATA beyond the window": [request(1, end=False), *(frame(0, 0, 1, b"x" * 16384) for _ in range(40))],
    "padding longer than its frame": [request(1, end=False), frame(0, 8, 1, b"\xffx")],
    "a frame that is too long": [frame(0, 0, 1, b"x" * 20_000)],
    "a frame that says it is sixteen megabytes": [frame(0, 0, 1, b"", 2**24 - 1)],
    "a stream that depends on itself": [frame(2, 0, 1, b"\0\0\0\1\0")],
    "streams that depend on each other": [frame(2, 0, 3, b"\0\0\0\5\0"), frame(2, 0, 5, b"\x80\0\0\3\0")],
    "a RST_STREAM of an idle stream": [frame(3, 0, 7, b"\0\0\0\0")],
    "GOAWAY and more": [LONG, frame(7, 0, 0, bytes(8)), request(3)],
    "GOAWAY in the middle": [frame(7, 0, 0, bytes(8) + b"x" * 9000)],
    "SETTINGS of a stream": [frame(4, 0, 1)],
    "SETTINGS of five bytes": [frame(4, 0, 0, b"12345")],
    "SETTINGS that are unknown": [frame(4, 0, 0, b"\xff\xff\xff\xff\xff\xff" * 9)],
    "PING of a stream": [frame(6, 0, 1, b"12345678")],
    "PING of seven bytes": [frame(6, 0, 0, b"1234567")],
    "HEADERS of nothing": [frame(1, 5, 1)],
    "an index that HPACK does not have": [frame(1, 5, 1, b"\xff\xff\xff\xff\x0f")],
    "Huffman that is none": [frame(1, 5, 1, b"\0\x81\xff\x81\xff")],
    "a table of HPACK that grows": [frame(1, 5, 1, b"\x3f\xff\xff\xff\x7f\x82")],
    "headers in capitals": [frame(1, 5, 1, Encoder().encode([(b":method", b"GET"), (b"X-A", b"b")]))],
    "a pseudo-header that is unknown": [frame(1, 5, 1, Encoder().encode([(b":metho", b"GET")]))],
    "a length that is none": [frame(1, 4, 1, Encoder().encode([(b":method", b"POST"), (b"content-length", b"-1")]))],
    "trailers without an end": [request(1, end=False), frame(1, 4, 1, b"\x82")],
    "a method of bytes": [request(1, method="\x80\xff\0")],
    "a path of nothing": [request(1, path="")],
    "a path that is an address": [request(1, path="http://[::1")],
    "HTTP/1.1 after the preface": [GOOD],
    "TLS after the preface": [b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3" + b"x" * 600],
    "nothing but zeros": [bytes(9000)],
    "nothing but ones": [b"\xff" * 9000],
}


@pytest.mark.parametrize("kind", WRONG)
def test_invalid_frames_affect_no_other_client(server: Running, kind: str) -> None:
    """Violations of RFC 9113 end a stream or its connection, without an exception, at once or frame by frame."""
    said(server, b"".join(WRONG[kind]))
    said(server, *WRONG[kind])

    assert is_well(server)


def test_an_hpack_bomb_is_refused(server: Running) -> None:
    """An indexed header that is repeated a thousand times is not decoded (16 kB to 4 MB)."""
    fill = b"\x40\x01a\x7f\x81\x1e" + b"x" * (127 + 30 * 128 + 1)  # literal with indexing, 4,000 bytes
    client = said(server, frame(1, 5, 1, b"\x82\x86\x84\x41\x01x" + fill + b"\xbe" * 1000))

    assert client.goaway is not None
    assert not client.status
    assert is_well(server)


def test_the_hpack_table_of_the_server_stays_small(server: Running) -> None:
    """A client that allows a header table of 4 GB does not make the server use it."""
    with server.connect() as sock:
        client = Http2Client(sock)
        sock.sendall(settings(table=2**32 - 1))
        for number in range(1, 601, 2):
            sock.sendall(request(number, "/" + "x" * (number % 97)))
            client.read_until(lambda number=number: number in client.ended)  # type: ignore[misc]  # mypy infers no lambda with a default

        size = client.table_size()

    assert len(client.status) == 300
    assert 0 < size <= 4096


@pytest.mark.parametrize(
    "first",
    [
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/1.1\r\n\r\n",
        b"PRI",
        b"PR",
        b"PRINT / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3" + b"\xff" * 600,
        b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n" + bytes(99),
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /sse HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /sse HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 9000 + b"-1\r\n",
        b"POST /sse HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        b"POST /sse HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
        b"GET /sse?tokens=1 HTTP/1.0\r\n\r\n" * 500,
        b"GET /sse?tokens=1 HTTP/1.1\r\nhost: x\r\n\r\n" * 500 + b"\0",
        bytes(70_000),
        b"\r\n" * 40_000,
        b"\xff" * 300_000,
    ],
)
def test_invalid_bytes_affect_no_other_client(server: Running, first: bytes) -> None:
    """Invalid requests of either HTTP version get an error or a close, also when the client disconnects at once."""
    for wait in (True, False):
        with server.connect() as sock, contextlib.suppress(ConnectionError):
            sock.sendall(first)
            sock.shutdown(socket.SHUT_WR)
            if wait:
                everything(sock)

    assert is_well(server)


def test_garbage_on_a_tls_port_affects_no_other_client(tmp_path: Path) -> None:
    """Plain HTTP of either version, and invalid TLS records, end their connection and nothing else."""
    with running(tmp_path, replace(SCRIPT, tls=context())) as server:
        for first in (
            GOOD,
            PREFACE + settings(),
            bytes(9000),
            b"\x16\x03\x01\xff\xff" + b"x" * 9000,
            b"\x15\3\3\0\2\2\0",
        ):
            with server.connect() as sock, contextlib.suppress(ConnectionError):
                sock.sendall(first)
                everything(sock)
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        with trusting.wrap_socket(server.connect()) as sock, contextlib.suppress(OSError):
            sock.sendall(b"GET /sse?tokens=100000 HTTP/1.1\r\nhost: x\r\n\r\n")
            sock.recv(1)
            raw = socket.socket(fileno=sock.detach())
            raw.sendall(b"\x17\3\3\0\x20" + b"x" * 32)
            raw.settimeout(10)
            with contextlib.suppress(ConnectionError):
                everything(raw)
            raw.close()
        with trusting.wrap_socket(server.connect()) as sock:
            sock.sendall(GOOD)
            assert everything(sock).startswith(b"HTTP/1.1 200 ")


def nested(depth: int) -> bytes:
    """Messages whose content is `depth` nested arrays."""
    return b'{"model":"m","messages":[{"role":"user","content":%b%b}]}' % (b"[" * depth, b"]" * depth)


PLAIN = b'{"model": "m", "messages": [], "max_tokens": %b}'
BODIES = {
    "100,000 brackets": b"[" * 100_000,
    "100,000 brackets in a message": nested(100_000),
    "braces": b'{"a":' * 100_000,
    "a million arrays": b'{"model":"m","messages":[' + b"[]," * 2_000_000 + b"[]]}",
    "1e999": PLAIN % b"1e999",
    "a negative number": PLAIN % b"-5",
    "nothing": PLAIN % b"0",
    "a huge number": PLAIN % (b"9" * 100_000),
    "a number too many": PLAIN % b"100001",
    "a fraction": PLAIN % b"1.5",
    "a string": PLAIN % b'"12"',
    "a boolean": PLAIN % b"true",
    "NaN": PLAIN % b"NaN",
    "NaN where nobody looks": b'{"model": "m", "messages": [], "max_tokens": 1, "top_p": NaN}',
    "Infinity": PLAIN % b"-Infinity",
    "bytes that are no UTF-8": b'{"model": "\xff\xfe\x80", "messages": []}',
    "half a character": b'{"model": "\xf0\x9f\x92", "messages": []}',
    "a name that goes on and on": b'{"model": "' + b"m" * 100_000 + b'", "messages": [], "max_tokens": 3}',
    "an array": b"[]",
    "nothing at all": b"",
    "a byte order mark alone": b"\xef\xbb\xbf",
    "UTF-16 that ends early": "{}".encode("utf-16")[:3],
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
@pytest.mark.parametrize("kind", BODIES)
def test_invalid_bodies_are_refused(path: str, kind: str) -> None:
    """Any invalid JSON gets a short 400, quickly."""
    body = (
        BODIES[kind].replace(b'"max_tokens"', b'"options": {}, "num_predict"') if path == "/api/chat" else BODIES[kind]
    )
    if path == "/api/chat":
        body = re.sub(rb'"options": \{\}, "num_predict": (.*?)([,}])', rb'"options": {"num_predict": \1}\2', body)
    begun = clock.now()

    reply = parse(Request("POST", path, {}, body, 0))

    assert clock.now() - begun < 10**9
    assert isinstance(reply, Reply)
    assert reply.status == 400
    assert len(reply.body) < 6000
    assert json.loads(reply.body)


@pytest.mark.parametrize("depth", [*range(850, 1000), 5000])
def test_any_depth_is_answered(depth: int) -> None:
    """Around the recursion limit of Python's json, a request is parsed or refused."""
    reply = parse(Request("POST", "/v1/chat/completions", {}, nested(depth), 0))

    assert not isinstance(reply, Reply) or reply.status == 400


def test_lone_surrogates_are_echoed(server: Running) -> None:
    """A lone surrogate comes back unchanged, with and without streaming."""
    for streamed in (b"true", b"false"):
        body = b'{"model": "\\ud800", "messages": [], "max_tokens": 2, "stream": %b}' % streamed
        with server.connect() as sock:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            sock.sendall(head % len(body) + body)
            answer = everything(sock)

        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"model":"\\ud800"' in answer


def test_many_small_frames_do_not_delay_others(tmp_path: Path) -> None:
    """While one client sends the smallest chunks and frames, another's tokens are on time."""
    script = replace(SCRIPT, first_token_median=Duration(0), first_token_p99=Duration(0))
    with running(tmp_path, script) as server, server.connect() as good:
        good.sendall(b"GET /sse?tokens=150 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        good.recv(1)
        with server.connect() as chunks, server.connect() as frames:
            chunks.sendall(
                b"POST /sse HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 40_000
            )
            with contextlib.suppress(ConnectionError):
                frames.sendall(PREFACE + settings() + LONG + frame(8, 0, 0, b"\0\0\0\1") * 15_000)
            answer = everything(good)
    late = [int(sent) - int(due) for due, sent in re.findall(rb": chaoskit \d+ (\d+) (\d+)", answer)]

    assert len(late) >= 149
    assert max(late) < 250_000_000
