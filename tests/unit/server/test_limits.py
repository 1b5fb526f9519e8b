"""Every wait and every size is bounded: tested with small limits, beside a valid client."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hostile import GOOD, PREFACE, Http2Client, everything, frame, request, settings
from serving import SCRIPT, Running, running, wait_for

from chaoskit import clock
from chaoskit.server.certificates import context
from chaoskit.server.limits import LAB, PUBLIC, Limits
from chaoskit.units import Duration

pytestmark = pytest.mark.flaky(reruns=2)  # real time, on a machine that others use

SOON = 200_000_000  # ns
QUICK = Limits(head=SOON, body=SOON, body_rate=2**20, idle=SOON, write=SOON, handshake=SOON, linger=SOON)
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
ENDLESS = b"GET /sse?tokens=100000 HTTP/1.1\r\nhost: x\r\n\r\n"
FAST = replace(SCRIPT, first_token_median=Duration(0), first_token_p99=Duration(0), token_interval=Duration(0))


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Running]:
    """A server with timeouts of a fifth of a second."""
    with running(tmp_path, limits=QUICK) as server:
        yield server


def is_well(server: Running) -> bool:
    """Whether a valid request gets its response."""
    with server.connect() as sock:
        sock.sendall(GOOD)
        return everything(sock).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def trickle(sock: socket.socket, first: bytes, rest: bytes) -> tuple[bytes, int]:
    """Send `first`, then a byte of `rest` each 20 ms until the server closes: its response, and when."""
    begun = clock.now()
    sock.sendall(first)
    sock.settimeout(0.02)
    answer = b""
    for at in range(500):
        try:
            answer = sock.recv(65536)
            break
        except TimeoutError:
            with contextlib.suppress(ConnectionError):
                sock.sendall(rest[at % len(rest) :][:1])
        except ConnectionResetError:
            break
    return answer, clock.now() - begun


@pytest.mark.parametrize(
    ("first", "rest", "status"),
    [
        (b"", b"", b""),
        (b"P", b"", b""),
        (b"", b"GET /" + b"x" * 500, b"408"),
        (b"GET /sse HTTP/1.1\r\nhost: x\r\n", b"x-a: b\r\n", b"408"),
        (POST + b"content-length: 500\r\n\r\n", b"{" * 500, b"408"),
        (POST + b"content-length: 500\r\n\r\n", b"", b"408"),
        (POST + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n{\r\n", b"408"),
    ],
)
def test_a_slow_request_times_out(quick: Running, first: bytes, rest: bytes, status: bytes) -> None:
    """Single bytes do not prolong a request: line, head and body have time limits, then a 408."""
    with quick.connect() as sock:
        answer, took = trickle(sock, first, rest) if rest else silence(sock, first)

    assert answer[9:12] == status
    assert took > SOON * 0.9
    assert is_well(quick)


def silence(sock: socket.socket, first: bytes) -> tuple[bytes, int]:
    """Send `first` and nothing more."""
    begun = clock.now()
    sock.sendall(first)
    with contextlib.suppress(ConnectionResetError):
        return sock.recv(65536), clock.now() - begun
    return b"", clock.now() - begun


def test_a_body_at_the_minimum_rate_has_more_time(tmp_path: Path) -> None:
    """A body that arrives at the minimum rate is waited for beyond the base time limit."""
    body = json.dumps({"model": "m", "messages": [], "max_tokens": 1}).encode()
    body += b" " * (100 - len(body))
    with running(tmp_path, limits=replace(QUICK, body_rate=50)) as server, server.connect() as sock:
        sock.sendall(POST + b"content-length: 100\r\nconnection: close\r\n\r\n")
        begun = clock.now()
        for at in range(0, 100, 10):
            sock.sendall(body[at : at + 10])
            wait_for(lambda at=at: clock.now() - begun > (at + 10) * 7_000_000)  # type: ignore[misc]  # mypy infers no lambda with a default

        assert everything(sock).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("first", [b"", GOOD.replace(b"connection: close\r\n", b"")])
def test_an_idle_connection_is_closed(quick: Running, first: bytes) -> None:
    """Without a next request a persistent connection is closed, without a response."""
    with quick.connect() as sock:
        sock.sendall(first)
        begun = clock.now()
        with contextlib.suppress(ConnectionResetError):
            answer = everything(sock)
            assert not first or answer.endswith(b"0\r\n\r\n")

    assert SOON * 0.9 < clock.now() - begun < 20 * SOON


def test_pings_do_not_keep_idle_http2_open(tmp_path: Path) -> None:
    """A connection of HTTP/2 without streams ends with a GOAWAY; PINGs do not prolong it."""
    with running(tmp_path, limits=replace(QUICK, frames=2**30)) as server, server.connect() as sock:
        client = Http2Client(sock)
        for _ in range(100_000):
            if not client.ping():
                break

    assert client.goaway == 0


def test_a_tls_handshake_times_out(tmp_path: Path) -> None:
    """A TLS client that sends nothing, a byte or half a ClientHello is dropped; its slot is free again."""
    limits = replace(QUICK, connections=3)
    with running(tmp_path, replace(SCRIPT, tls=context()), limits=limits) as server:
        silent = [server.connect() for _ in range(3)]
        silent[1].sendall(b"\x16")
        silent[2].sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50)
        begun = clock.now()
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        with trusting.wrap_socket(server.connect()) as sock:
            sock.sendall(GOOD)
            assert everything(sock).startswith(b"HTTP/1.1 200 ")
        waited = clock.now() - begun
        for one in silent:
            one.close()

    assert waited > SOON * 0.9


def test_connections_beyond_the_bound_wait(tmp_path: Path) -> None:
    """At the maximum number of connections the next one waits in the accept queue until one has closed."""
    with running(tmp_path, limits=replace(PUBLIC, connections=3)) as server:
        others = [server.connect() for _ in range(3)]
        for other in others:
            other.sendall(ENDLESS)
            assert other.recv(1)
        with server.connect() as sock:
            sock.sendall(GOOD)
            sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            others.pop().close()
            sock.settimeout(10)
            assert everything(sock).startswith(b"HTTP/1.1 200 ")
        for other in others:
            other.close()


def test_no_free_descriptor_neither_ends_nor_spins_the_server() -> None:
    """When accept finds no free descriptor the server waits without using CPU, logs nothing, and continues."""
    code = (
        "import asyncio, resource\n"
        "from chaoskit.server import app\n"
        "from hostile import SCRIPT\n"
        "listener = app.listen('127.0.0.1', 0)\n"
        "async def work():\n"
        "    serving = asyncio.create_task(app.serve_until_signal(listener, SCRIPT))\n"
        "    await asyncio.sleep(0)\n"  # it has raised the limit by now
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
        "    print(listener.getsockname()[1], flush=True)\n"
        "    await serving\n"
        "asyncio.run(work())\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())

    others = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(45)]
    wait_for(lambda: _descriptors(process.pid) >= 40)
    before, begun = _spent(process.pid), clock.now()
    wait_for(lambda: clock.now() - begun > 600_000_000)
    spent = _spent(process.pid) - before
    for other in others:
        other.close()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(GOOD)
        answer = everything(sock)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=10)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert spent < 0.2
    assert said == ""


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _spent(pid: int) -> float:
    """CPU time of a process, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_open_file_limit_is_raised() -> None:
    """A server raises its soft limit of open files to the hard limit."""
    code = (
        "import asyncio, resource\n"
        "from chaoskit.server import app\n"
        "from hostile import SCRIPT\n"
        "_, most = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))\n"
        "async def work():\n"
        "    stop = asyncio.Event()\n"
        "    stop.set()\n"
        "    await app.serve(app.listen('127.0.0.1', 0), SCRIPT, stop)\n"
        "asyncio.run(work())\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])

    said = subprocess.check_output([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, text=True)

    assert said == "True\n"


def test_a_client_that_stops_reading_is_aborted(tmp_path: Path) -> None:
    """A client that stops reading is aborted after the write timeout, and its response recorded as failed."""
    with running(tmp_path, FAST, send_buffer=4096, limits=QUICK) as server, server.connect() as sock:
        sock.sendall(ENDLESS)
        (served,) = server.served_when(1)
        with pytest.raises(ConnectionResetError):
            everything(sock)

    assert served.outcome == "failed"
    assert 0 < served.tokens_sent < 100_000


def test_a_zero_window_ends_only_its_stream(tmp_path: Path) -> None:
    """An HTTP/2 stream with a zero window is reset after the write timeout; another one of the connection completes."""
    with running(tmp_path, FAST, limits=QUICK) as server, server.connect() as sock:
        client = Http2Client(sock, window=0)
        shut = client.ask("/sse?tokens=3")
        client.read_until(lambda: shut in client.reset)
        client.open_window(2**20)
        good = client.ask("/sse?tokens=3")
        client.read_until(lambda: good in client.ended)

    assert client.reset[shut] == 8  # CANCEL
    assert client.bodies[good].endswith(b"data: [DONE]\n\n")


def test_a_very_slow_reader_is_aborted(tmp_path: Path) -> None:
    """A client that reads slowly may fall behind its schedule by `lag`, and no further."""
    limits = replace(PUBLIC, lag=SOON)
    with running(tmp_path, FAST, limits=limits) as server, server.connect() as sock:
        client = Http2Client(sock, window=10)
        slow = client.ask("/sse?tokens=100000")
        begun = clock.now()
        while slow not in client.reset and clock.now() - begun < 50 * SOON:
            client.read_some()
            client.give_room(slow, 20)

    assert client.reset[slow] == 8


def test_unsent_data_is_bounded(tmp_path: Path) -> None:
    """A client that sends requests and reads nothing is aborted before its responses fill the memory."""
    with running(tmp_path, send_buffer=4096, limits=replace(PUBLIC, unsent=2**16, frames=2**30)) as server:
        with server.connect() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(PREFACE + settings())
            with pytest.raises(ConnectionError):
                sock.sendall(frame(6, 0, 0, b"12345678") * 2_000_000)
        assert is_well(server)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_answered_before_the_reset(quick: Running, chunked: bool) -> None:
    """The 413 arrives complete and once, then the end of the connection, although the client continues sending."""
    size = PUBLIC.body_size + 2**20
    with quick.connect() as sock:
        if chunked:
            sock.sendall(POST + b"transfer-encoding: chunked\r\n\r\n")
            piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        else:
            sock.sendall(POST + b"content-length: %d\r\n\r\n" % size)
            piece = b"x" * 65536
        for _ in range(size // 65536):
            sock.sendall(piece)
        answer = everything(sock)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n") or head.startswith(b"HTTP/1.1 413 Content Too")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in head
    assert json.loads(body)["error"]["message"] == f"a body of more than {PUBLIC.body_size} bytes"


def test_no_100_continue_for_a_large_body(server: Running) -> None:
    """`Expect: 100-continue` with a length above the limit gets only the 413."""
    with server.connect() as sock:
        sock.sendall(POST + b"expect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)

        assert everything(sock).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("pieces", [1, 2, 9])
def test_http2_refuses_a_large_complete_body(tmp_path: Path, pieces: int) -> None:
    """A body that exceeds the limit and ends in the same segment gets one 413 and no reset."""
    with running(tmp_path, limits=replace(PUBLIC, body_size=1000)) as server, server.connect() as sock:
        client = Http2Client(sock)
        body = [frame(0, int(at == pieces), 1, b"x" * (2000 // pieces)) for at in range(1, pieces + 1)]
        sock.sendall(request(1, "/sse", end=False, method="POST") + b"".join(body))
        client.read_until(lambda: 1 in client.ended)
        sock.sendall(request(3))
        client.read_until(lambda: 3 in client.ended)

    assert client.status == {1: ["413"], 3: ["200"]}
    assert client.reset == {}


@pytest.mark.parametrize("window", [0, 2**20])
def test_http2_answers_a_large_body_once(tmp_path: Path, window: int) -> None:
    """One 413 for the stream, whatever its window; then no error, and the connection continues."""
    with running(tmp_path, limits=replace(PUBLIC, body_size=1000)) as server, server.connect() as sock:
        client = Http2Client(sock, window=window)
        number = client.ask("/sse", method="POST", end=False)
        for _ in range(5):
            client.send_data(number, b"x" * 400)
        client.open_window(2**20)
        client.read_until(lambda: number in client.reset)
        good = client.ask("/sse?tokens=3")
        client.read_until(lambda: good in client.ended)

    assert client.status[number] == ["413"]
    assert client.reset[number] == 0  # NO_ERROR
    assert client.status[good] == ["200"]


def test_all_bodies_together_have_a_bound(tmp_path: Path) -> None:
    """When the bodies of all clients reach the memory limit the next one gets a 503, until one is released."""
    limits = replace(PUBLIC, memory=100_000)
    with running(tmp_path, limits=limits) as server:
        with server.connect() as first:
            first.sendall(POST + b"content-length: 90000\r\n\r\n" + b" " * 80_000)
            wait_for(lambda: _refused(server, 30_000))
            with server.connect() as sock:
                client = Http2Client(sock)
                number = client.ask("/sse", method="POST", end=False)
                client.send_data(number, b"x" * 16_000)
                client.send_data(number, b"x" * 16_000)
                client.read_until(lambda: number in client.reset)
            assert client.status[number] == ["503"]
        wait_for(lambda: not _refused(server, 30_000))


def _refused(server: Running, size: int) -> bool:
    with server.connect() as sock:
        sock.sendall(
            b"POST /sse?tokens=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % size
        )
        sock.sendall(b"x" * size)
        return everything(sock).startswith(b"HTTP/1.1 503 ")


def test_pending_responses_have_the_same_bound(tmp_path: Path) -> None:
    """Responses without streaming are counted in advance: with zero windows, many of them are refused."""
    with running(tmp_path, FAST, limits=replace(PUBLIC, memory=5_000_000)) as server, server.connect() as sock:
        client = Http2Client(sock, window=0)
        body = json.dumps({"model": "m", "messages": [], "max_tokens": 100_000}).encode()
        asked = [client.ask("/v1/chat/completions", method="POST", body=body) for _ in range(6)]
        client.read_until(lambda: len(client.status) == 6)
        kept = [number for number in asked if client.status[number] == ["200"]]
        client.open_window(2**24)
        client.read_until(lambda: len(client.ended) == 6)
        again = client.ask("/v1/chat/completions", method="POST", body=body)
        client.read_until(lambda: again in client.ended)

    assert len(kept) == 3
    assert client.status[again] == ["200"]


@pytest.mark.parametrize("http2", [False, True])
def test_concurrent_requests_have_a_bound(tmp_path: Path, http2: bool) -> None:
    """Above it a request is refused with a retryable error, until a response ends."""
    with running(tmp_path, limits=replace(PUBLIC, requests=2)) as server:
        others = [server.connect() for _ in range(2)]
        for other in others:
            other.sendall(ENDLESS)
            assert other.recv(1)
        with server.connect() as sock:
            if http2:
                client = Http2Client(sock)
                number = client.ask("/sse?tokens=1")
                client.read_until(lambda: number in client.reset)
                assert client.reset[number] == 7  # REFUSED_STREAM
            else:
                sock.sendall(GOOD)
                assert re.match(rb"HTTP/1.1 503 .*retry-after: 1\r\n", everything(sock), re.DOTALL)
        others.pop().close()
        wait_for(lambda: is_well(server))
        for other in others:
            other.close()


def test_reset_requests_count_until_their_timer(tmp_path: Path) -> None:
    """A client that requests and resets in a loop cannot fill the memory: pending timers count as requests."""
    minute = Duration.parse("60s")
    script = replace(SCRIPT, first_token_median=minute, first_token_p99=minute)
    with running(tmp_path, script, limits=replace(PUBLIC, requests=5)) as server, server.connect() as sock:
        client = Http2Client(sock)
        for _ in range(5):
            number = client.ask("/sse?tokens=2")
            client.read_until(lambda number=number: number in client.status)  # type: ignore[misc]  # mypy infers no lambda with a default
            sock.sendall(frame(3, 0, number, b"\0\0\0\x08"))
        last = client.ask("/sse?tokens=2")
        client.read_until(lambda: last in client.reset)

    assert client.reset[last] == 7  # REFUSED_STREAM


def test_reset_requests_are_released_by_their_timer(tmp_path: Path) -> None:
    """When the timer of a reset request fires, it is released."""
    with running(tmp_path, limits=replace(PUBLIC, requests=2)) as server:
        for _ in range(20):
            with server.connect() as sock:
                sock.sendall(ENDLESS)
                sock.recv(1)
        wait_for(lambda: is_well(server))
        wait_for(lambda: is_well(server))


@pytest.mark.parametrize(
    "head", [b"GET /" + b"x" * 70_000, b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 17_000 + b"\r\n\r\n"]
)
def test_a_large_head_gets_431(server: Running, head: bytes) -> None:
    """A 431 response, then the end of the connection."""
    with server.connect() as sock:
        sock.sendall(head)

        assert everything(sock).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


def test_lab_limits_have_no_timeouts() -> None:
    """In an experiment no timeout of the server expires before its end."""
    year = 365 * 86400 * 10**9

    assert min(LAB.head, LAB.body, LAB.idle, LAB.write, LAB.lag) > 100 * year


def test_every_public_limit_is_bounded() -> None:
    """A public server waits at most an hour, and uses less than a gigabyte for all its clients."""
    times = [PUBLIC.head, PUBLIC.body, PUBLIC.idle, PUBLIC.write, PUBLIC.lag, PUBLIC.linger, PUBLIC.handshake]

    assert max(times) <= 3600 * 10**9
    assert PUBLIC.connections * (2**17) + PUBLIC.memory < 2**30
