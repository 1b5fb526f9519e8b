"""Test servers on real sockets with given behaviour, and one drive against them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chaoskit.clock import now
from chaoskit.probe.drive import DriveOptions, Target, drive, warm_up
from chaoskit.records import jsonl
from chaoskit.records.model import Keepalives, Request, SocketRead, TcpInfo, Vitals
from chaoskit.spec.workload import Workload

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"
TIMEOUT = 20.0

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def token(text: str = "x", sent: int | None = None) -> bytes:
    """An event of OpenAI's with a token in it."""
    stamp = "" if sent is None else f',"chaoskit":{{"seq":0,"due":{sent},"sent":{sent}}}'
    return f'data: {{"choices":[{{"delta":{{"content":"{text}"}}}}]{stamp}}}\n\n'.encode()


def chunk(*events: bytes) -> bytes:
    """One chunk of HTTP/1.1's chunked coding."""
    data = b"".join(events)
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@dataclass
class Outcome:
    """What a drive wrote."""

    requests: list[Request]
    reads: list[SocketRead]
    keepalives: list[Keepalives]
    tcp_infos: list[TcpInfo]
    vitals: list[Vitals]
    everything: str

    @property
    def request(self) -> Request:
        """The only one."""
        (one,) = self.requests
        return one

    @property
    def ending(self) -> tuple[str, str]:
        """How the only one ended."""
        return self.request.completion, self.request.detail

    @property
    def kinds(self) -> list[str]:
        """All events in order, stream by stream."""
        tokens = [(read.stream, event.kind) for read in self.reads for event in read.events]
        found: list[str] = []
        for stream in sorted({one.stream for one in self.reads} | {one.stream for one in self.keepalives}):
            own = [kind for number, kind in tokens if number == stream]
            begin = 0
            for run in (run for run in self.keepalives if run.stream == stream):
                found += own[begin : run.tokens]
                begin = run.tokens
                for kind in ("meta", "ping", "finish", "done", "error"):
                    found += [kind] * getattr(run, kind)
            found += own[begin:]
        return found


def workload(**words: Any) -> Workload:
    """A closed loop of one OpenAI stream with short timeouts, unless given otherwise."""
    timeouts = {"connect": "2s", "first-token": "2s", "idle": "2s", **words.pop("timeouts", {})}
    words = {name.replace("_", "-"): value for name, value in words.items()}
    if not {"request-rate", "trace"} & words.keys():
        words.setdefault("max-concurrency", 1)
    size = {} if "trace" in words else {"prompt-size": "50B"}
    return Workload.model_validate({**size, "timeouts": timeouts, **words})


async def ask(target: Target | str, work: Workload, options: DriveOptions | None = None) -> Outcome:
    """One drive, of one request unless given otherwise, that failures do not stop; fails when it takes too long."""
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory)
        target = Target(target) if isinstance(target, str) else target
        options = options or DriveOptions(seed=1, start=await ready(), length=None, requests=1)
        options = replace(options, fault_free=0)
        await asyncio.wait_for(drive(target, work, options, run, asyncio.Event()), TIMEOUT)
        return outcome(run)


async def ready() -> int:
    """A start time for a drive, after the one-time work of the first request."""
    await warm_up()
    return now() + 20_000_000


def outcome(run: Path) -> Outcome:
    """What is in a run directory."""
    return Outcome(
        jsonl.read(run, Request),
        jsonl.read(run, SocketRead),
        jsonl.read(run, Keepalives),
        jsonl.read(run, TcpInfo),
        jsonl.read(run, Vitals),
        "".join(path.read_text() for path in run.iterdir()),
    )


@contextlib.asynccontextmanager
async def far_side(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that runs `behaviour` for each connection; yields its URL. An assertion in it fails the test."""
    failures: list[AssertionError] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass  # the probe left
        except AssertionError as error:
            failures.append(error)
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        while tasks:
            await asyncio.sleep(0)
    if failures:
        raise failures[0]


async def request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Read one HTTP/1.1 request: first line, headers, body."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def saying(*parts: bytes, then: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None) -> Behaviour:
    """Read the request, send the parts one by one, run `then`, and close."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if then is not None:
            await then(writer)

    return behave


async def hang(_: asyncio.StreamWriter) -> None:
    """Do nothing more until the test is over."""
    await asyncio.Event().wait()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, after the peer has acknowledged what was sent."""
    sock = writer.get_extra_info("socket")
    await asyncio.to_thread(until_acknowledged, sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def until_acknowledged(sock: Any) -> None:
    """Return when the peer's kernel has everything."""
    while struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0]:
        pass
