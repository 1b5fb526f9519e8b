"""Fuzzes the probe with hostile servers, and the analysis with damaged run directories.

A server answers each request with mutated bytes; the probe must write one record of the stream and an analysis that can
be read. A run directory is damaged as its input's first eight bytes say.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import get_args

from chaoskit.analysis.analyse import analyse
from chaoskit.clock import now
from chaoskit.errors import SpecError
from chaoskit.probe.drive import DriveOptions, Target, drive, warm_up
from chaoskit.records import jsonl
from chaoskit.records.directory import create
from chaoskit.records.model import Completion, Request
from chaoskit.spec.workload import Workload
from fuzz import target
from fuzz.mutate import of_bytes
from fuzz.target import Judge

sys.path.insert(0, str(Path(__file__).parents[1]))
from damage import damage, mend
from random_runs import random_run

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
_DONE = b"data: [DONE]\n\n"
_TIMES = {"connect": "300ms", "first-token": "150ms", "idle": "150ms"}
_RUNS = 6


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def answers() -> list[bytes]:
    """Responses of a server that keeps the rules, and of some that do not."""
    good = _HEAD + _chunk(_TOKEN) + _chunk(_TOKEN) + _chunk(_DONE) + b"0\r\n\r\n"
    error = b'{"error":{"message":"too many","code":429}}'
    return [
        good,
        _HEAD + _chunk(_TOKEN),
        b"HTTP/1.1 302 Found\r\nlocation: localhost:8080/login\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nretry-after: 1\r\ncontent-length: %d\r\n\r\n%b" % (len(error), error),
        b"HTTP/1.1 100 Continue\r\n\r\n" + good,
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nset-cookie: a=b; expires=x\r\n\r\n" + _TOKEN,
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 3,
    ]


@contextmanager
def _endpoint() -> Iterator[Judge]:
    """A loopback server and an event loop, used by all inputs."""
    loop, answer = asyncio.new_event_loop(), b""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    workload = Workload.model_validate({"prompt-size": "50B", "max-concurrency": 1, "timeouts": _TIMES})
    server = loop.run_until_complete(asyncio.start_server(respond, "127.0.0.1", 0, family=socket.AF_INET))
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.run_until_complete(warm_up())

    def judge(data: bytes) -> None:
        nonlocal answer
        answer = data
        with tempfile.TemporaryDirectory() as folder:
            run = create(Path(folder, "run"), {})
            options = DriveOptions(1, now() + 1_000_000, None, requests=1, fault_free=0)
            loop.run_until_complete(asyncio.wait_for(drive(Target(url), workload, options, run, asyncio.Event()), 4))
            (request,) = jsonl.read(run, Request)
            assert request.completion in get_args(Completion)
            assert request.completion != "internal_error", request.detail
            result = analyse(run)
            json.loads(result.model_dump_json())

    try:
        yield judge
    finally:
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.close()


@contextmanager
def _runs() -> Iterator[Judge]:
    """Some good run directories, which are copied before they are damaged."""
    with tempfile.TemporaryDirectory() as folder:
        good = [random_run(seed).write(Path(folder, f"good-{seed}")) for seed in range(_RUNS)]

        def judge(data: bytes) -> None:
            seed = int.from_bytes(data[:8], "big")
            run = Path(folder, "run")
            shutil.copytree(good[seed % _RUNS], run)
            try:
                damage(run, seed)
                with suppress(SpecError):
                    analyse(run).model_dump_json()
            finally:
                mend(run)
                shutil.rmtree(run)

        yield judge


def _number(random: Random, _seeds: list[bytes]) -> bytes:
    return random.randbytes(8)


ENDPOINT = target.Target("endpoint", answers, of_bytes(*answers()), _endpoint)
RUNS = target.Target("runs", lambda: [bytes(8)], _number, _runs)
