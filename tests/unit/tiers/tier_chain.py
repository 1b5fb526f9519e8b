"""A whole chain of tiers on loopback, in one event loop: gateway, policy, retrieval, tools, models."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chaoskit.records.jsonl import Log, read
from chaoskit.records.model import ServedResponse
from chaoskit.records.spans import Span
from chaoskit.server.app import serve
from chaoskit.server.schedule import Script
from chaoskit.tiers.serving import serve_tier
from chaoskit.tiers.settings import (
    CallTimers,
    Count,
    GatewaySettings,
    GenerateStage,
    Latency,
    PolicySettings,
    PolicyStage,
    RetrievalSettings,
    RetrieveStage,
    TierSettings,
    ToolSettings,
    ToolsStage,
)
from chaoskit.units import Duration

MS = 10**6
QUICK = Latency(1 * MS, 2 * MS)
MODEL = Script(Duration(5 * MS), Duration(5 * MS), Duration(1 * MS), seed=3)
GUARD, VECTORS, TOOLS = PolicySettings(QUICK, 1), RetrievalSettings(QUICK, 1), ToolSettings(QUICK, 1)
Host = TierSettings | Script


@dataclass
class Chain:
    """Running tiers: the gateway's port, and the folder with their spans."""

    port: int
    run: Path

    async def ask(self, tokens: int = 5, stream: bool = True, headers: str = "", **body: Any) -> tuple[int, str, str]:
        """One request: the status, the head, the body as it came; an end without the end of the body is told."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": tokens, "stream": stream}
        raw = json.dumps(asked | body)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: {len(raw)}\r\n"
        writer.write((head + headers + "\r\n" + raw).encode())
        try:
            answer = (await reader.read(1 << 24)).decode() + (await reader.read(-1)).decode()
        except ConnectionResetError:
            answer = "HTTP/1.1 0 \r\n\r\nreset"
        finally:
            writer.close()
        head, _, rest = answer.partition("\r\n\r\n")
        return int(head.split()[1]), head, rest

    def spans(self, operation: str | None = None, host: str = "gateway") -> list[Span]:
        """Those of a host, in the order in which they began."""
        found = [each for each in read(self.run, Span) if each.host == host]
        return sorted(
            (each for each in found if operation in (None, each.operation)), key=lambda each: (each.begin, -each.end)
        )

    def hops(self, operation: str) -> list[Span]:
        """Those of the gateway that are no attempts."""
        return [each for each in self.spans(operation) if "chaoskit.attempt" not in each.attributes]

    def attempts(self, operation: str) -> list[Span]:
        """The attempts of the gateway."""
        return [each for each in self.spans(operation) if "chaoskit.attempt" in each.attributes]


def gateway(*stages: Any, **keys: Any) -> GatewaySettings:
    """A gateway with one workflow of these stages."""
    return GatewaySettings(workflows={"w": stages}, seed=1, **keys)


POLICY = PolicyStage(("guard",))
RETRIEVE = RetrieveStage(("vectors",), 4)
TWO_TOOLS = ToolsStage(("tools",), Count(2, 2))
GENERATE = GenerateStage(("model",))
TIMERS = CallTimers()


@asynccontextmanager
async def chain(run: Path, settings: GatewaySettings, hosts: Mapping[str, Host]) -> AsyncIterator[Chain]:
    """Run these hosts, each on a port of its own; `settings` name them, and are told their ports."""
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        log = stack.enter_context(closing(Log(run, Span)))
        served = stack.enter_context(closing(Log(run, ServedResponse)))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        ports = {}
        for name, host in hosts.items():
            listener = socket.create_server(("127.0.0.1", 0))
            ports[name] = listener.getsockname()[1]
            work = (
                serve(listener, host, stop, served)
                if isinstance(host, Script)
                else serve_tier(name, host, listener, stop, log)
            )
            group.create_task(work)
        front = socket.create_server(("127.0.0.1", 0))
        told = _told(settings, ports)
        group.create_task(serve_tier("gateway", told, front, stop, log))
        yield Chain(front.getsockname()[1], run)


def _told(settings: GatewaySettings, ports: Mapping[str, int]) -> GatewaySettings:
    """With ports in place of names."""

    def at(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{name}:{ports[name]}" if name in ports else name for name in names)

    def stage(each: Any) -> Any:
        keys = [key for key in ("hosts", "models", "fallbacks") if hasattr(each, key)]
        return replace(each, **{key: at(getattr(each, key)) for key in keys})

    workflows = {name: tuple(map(stage, stages)) for name, stages in settings.workflows.items()}
    return replace(settings, workflows=workflows, addresses=dict.fromkeys((*ports, "nobody"), ("127.0.0.1",)))
