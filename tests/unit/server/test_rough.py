"""Clients that disconnect, stall or send invalid data affect neither the server nor each other."""

import asyncio
import contextlib
import http.client
import json
import re
import socket
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from serving import SCRIPT, Running, running, wait_for

from chaoskit import clock
from chaoskit.errors import RefusedError
from chaoskit.records import jsonl
from chaoskit.records.model import ServedResponse
from chaoskit.server.app import serve
from chaoskit.server.limits import PUBLIC
from chaoskit.units import Duration

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

ENDLESS = b"GET /sse?tokens=100000 HTTP/1.1\r\nhost: x\r\n\r\n"
SHORT = b"GET /sse?tokens=2 HTTP/1.1\r\nhost: x\r\n\r\n"


def everything(sock: socket.socket) -> bytes:
    """All bytes until the server closes."""
    received = b""
    while piece := sock.recv(65536):
        received += piece
    return received


def until(sock: socket.socket, marker: bytes) -> bytes:
    """All bytes until these have arrived."""
    received = b""
    while marker not in received:
        received += sock.recv(65536)
    return received


def reset(sock: socket.socket) -> None:
    """Disconnect with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("leave", [reset, socket.socket.close, lambda sock: sock.shutdown(socket.SHUT_WR)])
def test_a_disconnect_is_recorded(server: Running, leave: Callable[[socket.socket], None]) -> None:
    """A client that disconnects during a stream gets no more tokens, and is recorded as client-left."""
    with server.connect() as sock:
        sock.sendall(ENDLESS)
        until(sock, b": chaoskit 5 ")
        leave(sock)

        (served,) = server.served_when(1)

    assert served.outcome == "client-left"
    assert 5 < served.tokens_sent < served.tokens == 100_000
    assert served.tcp_info["bytes_sent"] > 0


@pytest.mark.parametrize("http2", [False, True])
def test_a_slow_reader_delays_no_other(tmp_path: Path, http2: bool) -> None:
    """One client reads nothing while another is served on time; the schedule of the first continues."""
    script = replace(SCRIPT, token_interval=Duration.parse("500us"))
    kind = ["--http2-prior-knowledge"] if http2 else []
    with running(tmp_path, script, send_buffer=8192) as server:
        url = f"{server.url}/v1/chat/completions"
        body = json.dumps({"model": "m", "messages": [], "stream": True, "max_tokens": 2000})
        slow = subprocess.Popen(["curl", "-sSN", *kind, url, "-d", body], stdout=subprocess.PIPE)
        assert slow.stdout is not None
        with server.connect() as fast:
            fast.sendall(b"GET /sse?tokens=3000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            quick = re.findall(rb": chaoskit (\d+) (\d+) (\d+)", everything(fast))
        begun = clock.now()
        told = [
            (int(seq), int(due), int(sent))
            for seq, due, sent in re.findall(rb'"seq":(\d+),"due":(\d+),"sent":(\d+)', slow.stdout.read())
        ]
        slow.stdout.close()
        slow.wait(10)
        records = server.served_when(2)

    assert len(quick) == 3000
    assert sorted(int(sent) - int(due) for _, due, sent in quick)[1500] < 5_000_000
    assert [seq for seq, _, _ in told] == list(range(2000))
    assert [due for _, due, _ in told] == [told[0][1] + seq * 500_000 for seq in range(2000)]
    held_back = [due for _, due, sent in told if due < begun < sent]
    assert len(held_back) > 500  # what waited in buffers was bounded; the rest was not even written
    late = max(sent - due for _, due, sent in told)
    assert late > 100_000_000
    assert max(record.max_late for record in records) == late


def test_stopping_aborts_all_streams(slow_server: Running) -> None:
    """When the server stops, open streams end at once with a reset and leave nothing in the kernel."""
    server = slow_server
    idle, http2 = server.connect(), server.connect()
    streams = [server.connect() for _ in range(3)]
    for sock in streams:
        sock.sendall(ENDLESS)
        until(sock, b"text/event-stream")
    http2.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    until(http2, b"\0\0\0\4\1")

    begun = clock.now()
    server.stop()

    assert clock.now() - begun < 2 * 10**9
    for sock in (*streams, idle, http2):
        with sock, pytest.raises(ConnectionResetError):
            everything(sock)
    assert [record.outcome for record in server.served()] == ["failed"] * 3
    ports = [line.split()[1].split(":")[1] for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    assert f"{server.port:04X}" not in ports


def test_cancelling_is_stopping(tmp_path: Path) -> None:
    """A cancelled server cleans up as a stopped one does."""

    async def work(log: jsonl.Log) -> tuple[int, bool]:
        listener = socket.create_server(("127.0.0.1", 0))
        task = asyncio.create_task(serve(listener, SCRIPT, asyncio.Event(), log))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(ENDLESS)
        await reader.readuntil(b": chaoskit 3 ")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.close()
        return listener.fileno(), task.cancelled()

    with contextlib.closing(jsonl.Log(tmp_path, ServedResponse)) as log:
        assert asyncio.run(work(log)) == (-1, True)
        assert [record.outcome for record in jsonl.read(tmp_path, ServedResponse)] == ["failed"]


@pytest.mark.parametrize("rounds", range(6))
def test_a_connection_at_the_last_moment_is_aborted_too(rounds: int) -> None:
    """A client that connects a few loop iterations before the end is not left waiting."""

    async def work() -> bytes:
        listener = socket.create_server(("127.0.0.1", 0))
        task = asyncio.create_task(serve(listener, SCRIPT, asyncio.Event()))
        for _ in range(10):  # for the server to begin
            await asyncio.sleep(0)
        with socket.create_connection(listener.getsockname(), timeout=10) as sock:
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            with contextlib.suppress(ConnectionResetError):
                return sock.recv(1)
        return b""

    assert asyncio.run(work()) == b""


def test_a_full_disk_ends_the_server(tmp_path: Path) -> None:
    """A log that cannot be written ends the server with the reason, and its sockets are closed."""

    async def work(log: jsonl.Log) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        server = asyncio.create_task(serve(listener, SCRIPT, asyncio.Event(), log))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(SHORT)
        await reader.readuntil(b"[DONE]")
        with pytest.raises(RefusedError, match="No space left"):
            await asyncio.wait_for(server, 10)
        writer.close()
        return listener.fileno()

    (tmp_path / jsonl.FILES[ServedResponse]).symlink_to("/dev/full")
    with contextlib.closing(jsonl.Log(tmp_path, ServedResponse)) as log:
        assert asyncio.run(work(log)) == -1


def test_a_connection_serves_several_requests(server: Running) -> None:
    """Two requests on one connection are answered in order, also with a refused one between them."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    bodies: list[bytes] = []
    for path in ("/sse?tokens=3", "/nothing", "/v1/models", "/sse?tokens=4"):
        connection.request("GET", path)
        if not bodies:
            sock = connection.sock
        bodies.append(connection.getresponse().read())
    same = connection.sock is sock
    connection.close()

    assert same
    assert [body.count(b": chaoskit ") for body in bodies] == [3, 0, 0, 4]
    assert b"there is no /nothing" in bodies[1]


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    """Pipelined requests are answered one after the other."""
    with server.connect() as sock:
        sock.sendall(SHORT + SHORT + SHORT.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        answers = everything(sock)

    assert answers.count(b"HTTP/1.1 200 OK") == answers.count(b"[DONE]") == 3
    assert [int(n) for n in re.findall(rb": chaoskit (\d)", answers)] == [0, 1] * 3


def test_garbage_after_a_request_does_not_affect_its_response(server: Running) -> None:
    """Garbage after a valid request gets a 400, after the complete response of the valid one."""
    with server.connect() as sock:
        sock.sendall(SHORT + b"\x00\xffgarbage\r\n\r\n")
        answers = everything(sock)

    assert answers.count(b"[DONE]") == 1
    assert answers.index(b"[DONE]") < answers.index(b"HTTP/1.1 400 Bad Request")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"POST /sse HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        b"POST /sse HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"x" * 20_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",  # TLS to a plain port
    ],
)
def test_malformed_requests_are_refused(server: Running, garbage: bytes) -> None:
    """Invalid HTTP/1.1 gets an error with the reason, and the connection ends; the server continues."""
    with server.connect() as sock:
        sock.sendall(garbage)
        answer = everything(sock)
    with server.connect() as sock:
        sock.sendall(SHORT)
        until(sock, b"[DONE]")

    assert re.match(rb"HTTP/1.1 (4\d\d|505) [A-Z].*\r\n", answer)
    assert json.loads(answer.split(b"\r\n\r\n")[1])["error"]["message"]


@pytest.mark.parametrize(
    "frames", [b"\0\0\1\0\0\0\0\0\1x", b"\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff", b"\0\0\0\1\5\0\0\0\1", b""]
)
def test_malformed_http2_is_refused(server: Running, frames: bytes) -> None:
    """After a valid preface, invalid frames end the connection with GOAWAY; the server continues."""
    with server.connect() as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames)
        if not frames:
            sock.shutdown(socket.SHUT_WR)
        answer = everything(sock)
    with server.connect() as sock:
        sock.sendall(SHORT)
        until(sock, b"[DONE]")

    assert answer[3] == 4  # SETTINGS
    assert bool(frames) == (b"\7\0\0\0\0\0" in answer)  # GOAWAY on stream 0


def test_every_split_is_parsed(server: Running) -> None:
    """A request that arrives in two segments, split anywhere, is the same request."""
    for kind, request in (
        (b"[DONE]", SHORT),
        (b"\0\0\0\4\1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
    ):
        for cut in range(1, len(request)):
            with server.connect() as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(request[:cut])
                wait_for(lambda sock=sock: not _unread_by_peer(sock))  # type: ignore[misc]  # mypy infers no lambda with a default
                sock.sendall(request[cut:])
                until(sock, kind)


def _unread_by_peer(sock: socket.socket) -> int:
    """Bytes in the server's receive queue, from /proc/net/tcp."""
    ours = f"{sock.getsockname()[1]:04X}"
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(f":{ours}"):
            return int(fields[4].split(":")[1], 16)
    return 1  # not accepted yet


def test_http10_gets_no_chunks(server: Running) -> None:
    """HTTP/1.0 is answered without chunks, ended by closing."""
    with server.connect() as sock:
        sock.sendall(SHORT.replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, body = everything(sock).split(b"\r\n\r\n", 1)

    assert b"chunked" not in head
    assert body.startswith(b": chaoskit 0 ")
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("http", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/v1/models", 200), ("/api/version", 200), ("/api/chat", 405)]
)
def test_head_gets_no_body(server: Running, http: str, path: str, status: int) -> None:
    """HEAD is answered wherever GET is, without a body; so is its refusal."""
    command = ["curl", "-sSI", "--max-time", "10", http, f"{server.url}{path}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert f" {status}" in answer.splitlines()[0]
    assert "{" not in answer
    assert "content-length: " in answer


def test_100_continue_is_sent(server: Running) -> None:
    """`Expect: 100-continue` is answered before the body."""
    with server.connect() as sock:
        sock.sendall(b"POST /sse?tokens=1 HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"{}")
        assert until(sock, b"[DONE]").startswith(b"HTTP/1.1 200 ")


def test_a_body_has_a_limit(server: Running) -> None:
    """A body above the limit is a 413, over either HTTP version, and not kept."""
    with server.connect() as sock:
        size = PUBLIC.body_size + 1
        sock.sendall(b"POST /sse HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
        sock.sendall(b"x" * size)
        assert everything(sock).startswith(b"HTTP/1.1 413 ")

    zeros = ["-X", "POST", "-H", "content-type: application/json", "--data-binary", "@-"]
    command = ["curl", "-sS", "--http2-prior-knowledge", "--max-time", "20", *zeros, f"{server.url}/sse"]
    answer = subprocess.run(command, input=b"x" * (PUBLIC.body_size + 1), capture_output=True, check=False).stdout
    assert b"a body of more than" in answer


def test_endless_input_is_aborted(server: Running) -> None:
    """A client that continues sending during its response is aborted before that fills the memory."""
    with server.connect() as sock:
        sock.sendall(ENDLESS)
        until(sock, b": chaoskit 0 ")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            sock.sendall(b"x" * 64_000_000)
        (served,) = server.served_when(1)

    assert served.outcome == "client-left"
