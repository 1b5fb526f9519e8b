"""Measures the accuracy of token stamps of the probe, stock httpx, aiohttp and a bare asyncio socket.

    python tests/bench/probe_truth.py [--seconds 10] [--streams 50]

One server process stamps every token right before it writes it to its socket; each client in turn, in its own process,
reads the same streams at 50 tokens per second each. `late` is the client's stamp minus the server's, `gap error` the
difference of a gap between two tokens of one stream as the client and the server saw it. The other clients do the
minimum: split lines, parse JSON, and keep two numbers per token; the probe does all its work of a run: interprets
events, samples TCP_INFO, writes records. Most of the probe's `late` at p50 is the server's time from its stamp to its
kernel, which no client can avoid.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))

import aiohttp
import httpx
from loopback import Server, quantile, table

from chaoskit.clock import cpu, now
from chaoskit.probe.drive import DriveOptions, Target, drive
from chaoskit.records.jsonl import read
from chaoskit.records.model import SocketRead
from chaoskit.spec.workload import Workload
from chaoskit.units import Duration

INTERVAL = Duration.parse("20ms")
PATH = "/v1/chat/completions"
Stamps = list[tuple[int, int]]
"""Of one stream: the client's stamp and the server's, for each token."""
Outcome = tuple[list[Stamps], int]
"""All streams, and the CPU time that they took, ns."""


def body(tokens: int) -> bytes:
    """What the stock clients ask."""
    messages = [{"role": "user", "content": "go on"}]
    return json.dumps({"model": "m", "messages": messages, "max_tokens": tokens, "stream": True}).encode()


class Notes:
    """The stamps of one stream."""

    def __init__(self) -> None:
        self.stamps: Stamps = []
        self._rest = b""

    def take(self, chunk: bytes) -> None:
        """Stamp first, then look what it was."""
        at = now()
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if "chaoskit" in event:
                    self.stamps.append((at, event["chaoskit"]["sent"]))


async def spend(streams: list[Coroutine[None, None, Stamps]]) -> Outcome:
    """All of them at the same time."""
    before = cpu()
    found = await asyncio.gather(*streams)
    return found, cpu() - before


async def ours(url: str, streams: int, tokens: int) -> Outcome:
    """The probe."""
    workload = Workload.model_validate({"max-concurrency": streams, "output-tokens": tokens})
    order = DriveOptions(seed=1, start=now(), length=None, requests=streams)
    with tempfile.TemporaryDirectory() as directory:
        before = cpu()
        await drive(Target(url), workload, order, Path(directory), asyncio.Event())
        spent = cpu() - before
        found: dict[int, Stamps] = {}
        for one in read(Path(directory), SocketRead):
            stamps = found.setdefault(one.stream, [])
            stamps.extend((one.at, event.sent) for event in one.events if event.sent is not None)
    return list(found.values()), spent


async def stock_httpx(url: str, streams: int, tokens: int) -> Outcome:
    """httpx as it is, its pool unlimited and without keep-alive."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:

        async def one() -> Stamps:
            notes = Notes()
            async with client.stream("POST", url + PATH, content=body(tokens)) as response:
                async for chunk in response.aiter_raw():
                    notes.take(chunk)
            return notes.stamps

        return await spend([one() for _ in range(streams)])


async def stock_aiohttp(url: str, streams: int, tokens: int) -> Outcome:
    """aiohttp as it is, its connector unlimited."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> Stamps:
            notes = Notes()
            async with session.post(url + PATH, data=body(tokens)) as response:
                async for chunk in response.content.iter_any():
                    notes.take(chunk)
            return notes.stamps

        return await spend([one() for _ in range(streams)])


async def bare_asyncio(url: str, streams: int, tokens: int) -> Outcome:
    """A socket under asyncio's streams; HTTP is not even parsed."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    asked = body(tokens)
    request = f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {len(asked)}\r\n\r\n"

    async def one() -> Stamps:
        notes = Notes()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request.encode() + asked)
        while chunk := await reader.read(1 << 16):
            notes.take(chunk)
        writer.close()
        return notes.stamps

    return await spend([one() for _ in range(streams)])


Client = Callable[[str, int, int], Coroutine[None, None, Outcome]]
CLIENTS: dict[str, Client] = {
    "chaoskit": ours,
    "httpx": stock_httpx,
    "aiohttp": stock_aiohttp,
    "asyncio": bare_asyncio,
}


def measure(name: str, url: str, streams: int, tokens: int) -> dict[str, float]:
    """Run one client; us."""
    found, spent = asyncio.run(CLIENTS[name](url, streams, tokens))
    late = [at - sent for stamps in found for at, sent in stamps]
    gaps = [
        abs((at - former_at) - (sent - former_sent))
        for stamps in found
        for (former_at, former_sent), (at, sent) in itertools.pairwise(stamps)
    ]
    numbers = {"late p50": quantile(late, 0.5), "late p99": quantile(late, 0.99)}
    numbers |= {"gap error p50": quantile(gaps, 0.5), "gap error p99": quantile(gaps, 0.99)}
    return {"tokens": len(late), "CPU": spent / 1000 / len(late)} | {k: v / 1000 for k, v in numbers.items()}


def main() -> None:
    """All clients, one after the other, and the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10, help="for each client")
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    tokens = round(options.seconds * 1e9 / INTERVAL)
    if options.client:
        print(json.dumps(measure(options.client, options.url, options.streams, tokens)))
        return
    results: dict[str, dict[str, float]] = {}
    with Server(INTERVAL) as server:
        for name in CLIENTS:
            command = [sys.executable, __file__, "--client", name, "--url", server.url, *sys.argv[1:]]
            results[name] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    print(f"{options.streams} streams of {tokens} tokens at 50 tokens/s each; us; in brackets: times ours")
    columns = ("late p50", "late p99", "gap error p50", "gap error p99", "CPU")
    print(table(("client", *(f"{column}" for column in columns)), [
        (name, *(f"{result[c]:.0f} ({result[c] / results['chaoskit'][c]:.1f}x)" for c in columns))
        for name, result in results.items()
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
