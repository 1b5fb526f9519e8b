"""Answers as the hosts that a gateway asks beside a model: policy, retrieval, tools.

What an answer is like is drawn from the seed and the span of the request, so that a retry draws anew and a repeated run
draws the same. Each draw is made always, so that one setting does not change what others give.
"""

from __future__ import annotations

from typing import Any

from chaoskit.records.jsonl import Log
from chaoskit.records.span_names import RETRIEVAL_OUTCOME
from chaoskit.server.limits import Limits
from chaoskit.server.requests import BadRequestError, Request, json_reply
from chaoskit.server.schedule import Script
from chaoskit.tiers.failures import RequestError
from chaoskit.tiers.mcp_messages import MCP_PATH
from chaoskit.tiers.mcp_server import McpServer
from chaoskit.tiers.settings import PolicySettings, RetrievalSettings, ToolSettings
from chaoskit.tiers.tier import Tier, TierResponse
from chaoskit.tiers.tracing import OpenSpan
from chaoskit.timer import AbsoluteTimer
from chaoskit.units import Duration

POLICY_PATH, RETRIEVAL_PATH, TOOL_PATH = "/v1/policy", "/v1/retrieve", "/v1/tools/call"
MOST_RESULTS = 10_000
_LONGEST = 200  # characters of a tool's name


class PolicyService(Tier):
    """`{"messages": ...}` -> `{"allowed": true}`."""

    path = POLICY_PATH

    def __init__(self, host: str, settings: PolicySettings, timer: AbsoluteTimer, log: Log | None, limits: Limits):
        super().__init__(host, timer, log, limits)
        self._settings = settings

    async def answer(self, request: Request, body: dict[str, Any], response: TierResponse) -> None:
        """Think, and decide."""
        del body
        settings = self._settings
        with self.tracer.begin(request.headers, request.received, "policy", "policy") as span:
            numbers = span.numbers(settings.seed)
            latency, fails, denies = settings.latency.draw(numbers), numbers.random(), numbers.random()
            await self.timer.until(request.received + latency)
            if fails < settings.failures:
                raise RequestError(503, "503", "the policy engine is out of order")
            response.reply(json_reply(200, {"allowed": denies >= settings.denies}))


class RetrievalService(Tier):
    """`{"query": ..., "k": 8}` -> `{"outcome": "hit", "results": [{"text": ...}], "shards": 4, "answered": 4}`."""

    path = RETRIEVAL_PATH

    def __init__(self, host: str, settings: RetrievalSettings, timer: AbsoluteTimer, log: Log | None, limits: Limits):
        super().__init__(host, timer, log, limits)
        self._settings = settings

    async def answer(self, request: Request, body: dict[str, Any], response: TierResponse) -> None:
        """Ask all shards, and answer with what those that are in time have."""
        k = body.get("k", 1)
        if not isinstance(k, int) or not 0 < k <= MOST_RESULTS:
            raise BadRequestError(f"k: expected 1 to {MOST_RESULTS}, found {str(k)[:40]}")
        settings = self._settings
        with self.tracer.begin(request.headers, request.received, "retrieval", "retrieval") as span:
            numbers = span.numbers(settings.seed)
            fails, misses = numbers.random(), numbers.random()
            latencies = [settings.latency.draw(numbers) for _ in range(settings.shards)]
            limit = settings.shard_deadline
            answered = sum(limit is None or each <= limit for each in latencies)
            slowest = max(latencies) if limit is None else min(max(latencies), limit)
            found = 0 if misses < settings.miss else round(k * answered / settings.shards)
            await self.timer.until(request.received + slowest + settings.per_result * found)
            if fails < settings.failures:
                raise RequestError(503, "503", "the index is out of order")
            if not answered:
                raise RequestError(504, "timeout", "no shard answered in time")
            outcome = "miss" if not found else "hit" if answered == settings.shards else "degraded"
            span.attributes[RETRIEVAL_OUTCOME] = outcome
            texts = [{"text": _text(settings.seed, span, number, settings.result_size)} for number in range(found)]
            told = {"outcome": outcome, "results": texts, "shards": settings.shards, "answered": answered}
            response.reply(json_reply(200, told))


class ToolService(Tier):
    """`{"name": ..., "arguments": ...}` -> `{"content": ...}`; the same tools by MCP."""

    path = TOOL_PATH
    paths = (TOOL_PATH, MCP_PATH)

    def __init__(self, host: str, settings: ToolSettings, timer: AbsoluteTimer, log: Log | None, limits: Limits):
        super().__init__(host, timer, log, limits)
        self._settings = settings
        self._mcp = McpServer(host, settings.seed, self._work)
        self.read_headers |= McpServer.headers

    async def answer(self, request: Request, body: dict[str, Any], response: TierResponse) -> None:
        """Work, and answer or fail."""
        if request.target.partition("?")[0] == MCP_PATH:
            response.reply(await self._mcp.answer(request, body))
            return
        name = body.get("name")
        if not isinstance(name, str) or len(name) > _LONGEST:
            raise BadRequestError("name: field required, the name of a tool")
        response.reply(json_reply(200, {"content": await self._work(request, name)}))

    async def _work(self, request: Request, name: str) -> str:
        """What the tool of this name has found. Raises RequestError where it fails."""
        settings = self._settings
        with self.tracer.begin(request.headers, request.received, "tool", "tool") as span:
            numbers = span.numbers(settings.seed)
            latency, fails = settings.latency.draw(numbers), numbers.random()
            await self.timer.until(request.received + latency)
            if fails < settings.failures:
                raise RequestError(500, "500", f"{name} failed")
            return _text(settings.seed, span, 0, settings.size)


def _text(seed: int, span: OpenSpan, number: int, size: int) -> str:
    """Words of so many bytes."""
    script = Script(Duration(0), Duration(0), Duration(0), seed)
    return script.plan(size // 2 + 1, span.trace, span.span, number).whole()[:size]
