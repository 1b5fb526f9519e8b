"""Measures how many token streams one core carries: the probe beside aiohttp and a bare asyncio socket.

    python tests/bench/capacity.py [--streams 500] [--seconds 10]

A server that does nothing else sends every stream 50 tokens per second, in an event of 190 bytes each. `token` is the
CPU time of a client over all its tokens; `stream` that of a stream with a single token, connection included; `memory`
what the process grew by while all streams were open, over their number; `late` the client's stamp minus the server's.
The other clients do the minimum, as in probe_truth.py; the probe does all its work of a run, and `lag` is the longest
delay of its event loop: a run in which that exceeds 50 ms is called overloaded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).parent))

from loopback import quantile, table
from probe_truth import CLIENTS, Outcome, Stamps

from chaoskit.clock import cpu, now
from chaoskit.probe.drive import DriveOptions, Target, drive, warm_up
from chaoskit.records.jsonl import read
from chaoskit.records.model import Request, SocketRead, Vitals
from chaoskit.spec.workload import Workload

NAMES = ("chaoskit", "aiohttp", "asyncio")
PHASES = 20  # streams are spread over the milliseconds of an interval
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class _Stream(asyncio.Protocol):
    """One connection of the server; asks for nothing but the number of tokens."""

    def __init__(self, phases: list[set[_Stream]], number: list[int]) -> None:
        self._phases = phases
        self._number = number
        self._head = b""
        self.left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Begin when the request is there."""
        self._head += data
        if b'"max_tokens": ' in self._head and not self.left:
            self.left = int(self._head.partition(b'"max_tokens": ')[2].split(b",")[0].rstrip(b"} "))
            self.transport.write(HEAD)
            self._number[0] += 1
            self._phases[self._number[0] % PHASES].add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left."""
        for phase in self._phases:
            phase.discard(self)


async def _serve(listener: socket.socket) -> None:
    phases: list[set[_Stream]] = [set() for _ in range(PHASES)]
    number = [0]
    await asyncio.get_running_loop().create_server(lambda: _Stream(phases, number), sock=listener)
    due, turn = now(), 0
    while True:
        due, turn = due + 1_000_000, turn + 1
        await asyncio.sleep(max(0, due - now()) / 1e9)
        for stream in list(phases[turn % PHASES]):
            stamp = now()
            stamps = f'"chaoskit":{{"seq":{turn},"due":{stamp},"sent":{stamp}}}'
            event = (
                f'data: {{"id":"x","model":"m","choices":[{{"index":0,"delta":{{"content":" tok"}}}}],{stamps}}}\n\n'
            )
            stream.left -= 1
            end = "" if stream.left else "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
            stream.transport.write(f"{len(event):x}\r\n{event}\r\n{end}".encode())
            if not stream.left:
                phases[turn % PHASES].discard(stream)
                stream.transport.close()


class Server:
    """The server in its own process, as a context manager."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._pid = 0

    def __enter__(self) -> Server:
        self._pid = os.fork()
        if self._pid == 0:
            asyncio.run(_serve(self._listener))
        self._listener.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Memory:
    """Watches how many bytes this process has in memory, until `stop`."""

    def __init__(self) -> None:
        self._sizes = [resident()]
        self._is_over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()

    def stop(self) -> int:
        """By how much it grew at most."""
        self._is_over.set()
        self._watcher.join()
        return max(self._sizes) - self._sizes[0]

    def _watch(self) -> None:
        while not self._is_over.wait(0.2):
            self._sizes.append(resident())


async def ours(url: str, streams: int, tokens: int, memory: Memory) -> tuple[Outcome, int]:
    """The probe, and the lag of its loop."""
    workload = Workload.model_validate({"max-concurrency": streams, "output-tokens": tokens})
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory)
        await warm_up()
        before = cpu()
        order = DriveOptions(seed=1, start=now(), length=None, requests=streams)
        await drive(Target(url), workload, order, run, asyncio.Event())
        spent = cpu() - before
        memory.stop()
        found: dict[int, Stamps] = {}
        for one in read(run, SocketRead):
            stamps = found.setdefault(one.stream, [])
            stamps.extend((one.at, event.sent) for event in one.events if event.sent is not None)
        assert {one.completion for one in read(run, Request)} == {"complete"}
        return (list(found.values()), spent), max(one.lag for one in read(run, Vitals))


def measure(name: str, url: str, streams: int, tokens: int) -> dict[str, float]:
    """Run one client; us, kB."""
    memory, lag = Memory(), 0
    if name == "chaoskit":
        (found, spent), lag = asyncio.run(ours(url, streams, tokens, memory))
    else:
        found, spent = asyncio.run(CLIENTS[name](url, streams, tokens))
    late = [at - sent for stamps in found for at, sent in stamps]
    return {
        "spent": spent / 1000,
        "tokens": len(late),
        "late p50": quantile(late, 0.5) / 1000,
        "late p99": quantile(late, 0.99) / 1000,
        "memory": memory.stop() / streams / 1000,
        "lag": lag / 1000,
    }


def main() -> None:
    """All clients, one after the other, and the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10, help="for each client")
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--client", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
        print(json.dumps(measure(options.client, options.url, options.streams, options.tokens)))
        return

    def run(name: str, url: str, tokens: int) -> dict[str, float]:
        words = ["--client", name, "--url", url, "--streams", str(options.streams), "--tokens", str(tokens)]
        done = subprocess.run([sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE)
        found: dict[str, float] = json.loads(done.stdout)
        return found

    tokens = max(2, round(options.seconds * 50))
    rows: dict[str, dict[str, float]] = {}
    with Server() as server:
        time.sleep(0.3)
        for name in NAMES:
            short, long = run(name, server.url, 1), run(name, server.url, tokens)
            more = (long["spent"] - short["spent"]) / (long["tokens"] - options.streams)
            rows[name] = long | {"stream": short["spent"] / options.streams, "token": more}
    print(f"{options.streams} streams of {tokens} tokens at 50 tokens/s each; in brackets: times ours")
    columns = {"token": "us", "stream": "us", "memory": "kB", "late p50": "us", "late p99": "us"}
    own = rows["chaoskit"]
    print(table(("client", *columns), [
        (name, *(f"{row[key]:.0f} {unit} ({row[key] / own[key]:.1f}x)" for key, unit in columns.items()))
        for name, row in rows.items()
    ]))  # fmt: skip
    print(f"lag of the probe's loop: at most {rows['chaoskit']['lag'] / 1000:.1f} ms")


if __name__ == "__main__":
    main()
