"""Defines what the tiers of a lab do, as plain data that a guest reads without loading pydantic.

Times in ns, sizes in bytes. A host is called by the URL that leads to it; `addresses` of `GatewaySettings` resolve it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from chaoskit.seed import Random
from chaoskit.tiers.admission import AdmissionSettings
from chaoskit.tiers.carriage import Carriage
from chaoskit.tiers.ladder import LadderSettings

MidStream = Literal["break", "error", "resume", "end"]
Fallback = Literal["no-context", "cached"]
ToolProtocol = Literal["json", "mcp"]
SECOND = 10**9  # ns
_Z99, _Z95 = 2.3263478740408408, 1.6448536269514722  # quantiles of the standard normal distribution


@dataclass(frozen=True)
class Latency:
    """A log-normal time with this median and 99th percentile."""

    median: int
    p99: int

    def draw(self, numbers: Random) -> int:
        """One of them; takes one random number."""
        z = numbers.gauss(0.0, 1.0)
        if not self.median:
            return 0
        return round(self.median * math.exp(math.log(self.p99 / self.median) / _Z99 * z))


@dataclass(frozen=True)
class Count:
    """A number of calls: log-normal with this median and 95th percentile, rounded; always the same where they agree."""

    p50: int
    p95: int
    most: int = 100

    def draw(self, numbers: Random) -> int:
        """One of them; takes one random number."""
        z = numbers.gauss(0.0, 1.0)
        if not self.p50 or self.p50 == self.p95:
            return self.p50
        return min(self.most, round(self.p50 * math.exp(math.log(self.p95 / self.p50) / _Z95 * z)))


@dataclass(frozen=True)
class CallTimers:
    """What a hop waits for, and how often it tries. None: no limit.

    `deadline` is for the hop with all its attempts, `per_try` for one attempt: of a stream until its first token.
    `idle` is from one read of a stream to the next. `backoff` doubles with each retry. A second attempt starts beside
    one that has not answered after `hedge_after`.
    """

    deadline: int | None = None
    connect: int | None = 5 * SECOND
    per_try: int | None = None
    idle: int | None = None
    retries: int = 0
    backoff: int = 0
    hedge_after: int | None = None


@dataclass(frozen=True)
class PolicyStage:
    """Asks whether the request is allowed. `fails_open`: it is, where the policy host does not answer."""

    hosts: tuple[str, ...]
    timers: CallTimers = CallTimers()
    fails_open: bool = False


@dataclass(frozen=True)
class RetrieveStage:
    """Looks up `k` results that are added to the prompt; `fallbacks` are tried in turn where there are none.

    A fallback is the URL of another host, `cached` (the latest results of this stage), or `no-context`.
    """

    hosts: tuple[str, ...]
    k: int
    timers: CallTimers = CallTimers()
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToolsStage:
    """Calls tools: one after the other, or `parallel`. Their answers are added to the prompt.

    `tolerant`: a tool that fails is told to the model, and ends nothing.
    """

    hosts: tuple[str, ...]
    calls: Count
    parallel: bool = False
    tolerant: bool = True
    timers: CallTimers = CallTimers()
    protocol: ToolProtocol = "json"


@dataclass(frozen=True)
class GenerateStage:
    """Asks a model, and the next one in the list where that fails before its first token.

    The last one of a workflow streams to the client; an earlier one adds its answer of `max_tokens` to the prompt.
    `model_name` is what the model is asked for; None: what the client asked for.
    """

    models: tuple[str, ...]
    timers: CallTimers = CallTimers()
    max_tokens: int | None = None
    model_name: str | None = None


Stage = PolicyStage | RetrieveStage | ToolsStage | GenerateStage


@dataclass(frozen=True)
class Breaker:
    """After `failures` in a row a host is not asked for `open_for` ns; then one request tries it."""

    failures: int
    open_for: int


@dataclass(frozen=True)
class Controls:
    """Whom a gateway admits, and when it degrades its service; it reads the metrics of `models` where these need them.

    `carriage` tells the class of a request. `tells_priority`: models get it as vLLM's `priority`, lower first.
    """

    admission: AdmissionSettings = field(default_factory=AdmissionSettings)
    ladder: LadderSettings | None = None
    carriage: Carriage | None = None
    models: tuple[str, ...] = ()
    tells_priority: bool = False

    @property
    def needs_telemetry(self) -> bool:
        """Whether anything is decided by the models' metrics."""
        is_looked_at = self.ladder is not None and self.ladder.signal in ("saturation", "queue")
        return self.admission.needs_telemetry or is_looked_at


@dataclass(frozen=True)
class GatewaySettings:
    """A gateway: its workflows, of which the first is the default, and how it calls other hosts.

    `retry_budget`: retries and hedges for each request, on average. `addresses` are those of each name that a URL has.
    `port`: where reference hosts listen.
    `workflow_header`: the header field that names the workflow, before the `model` field of the body.
    """

    workflows: dict[str, tuple[Stage, ...]]
    seed: int
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mid_stream: MidStream = "break"
    retry_budget: float = 0.2
    breaker: Breaker | None = None
    workflow_header: str = "x-workflow"
    port: int = 8000
    controls: Controls = field(default_factory=Controls)


@dataclass(frozen=True)
class PolicySettings:
    """A policy host: how long it thinks, how often it denies, how often it fails."""

    latency: Latency
    seed: int
    denies: float = 0.0
    failures: float = 0.0


@dataclass(frozen=True)
class RetrievalSettings:
    """A retrieval host. An answer takes the time of its slowest shard, and `per_result` for each result.

    Shards that have not answered by `shard_deadline` are left out: the answer is partial, and says so.
    """

    latency: Latency
    seed: int
    per_result: int = 0
    miss: float = 0.0
    result_size: int = 2000
    shards: int = 1
    shard_deadline: int | None = None
    failures: float = 0.0


@dataclass(frozen=True)
class ToolSettings:
    """A host with tools: how long one takes, how often it fails, how large its answers are."""

    latency: Latency
    seed: int
    failures: float = 0.0
    size: int = 1000


TierSettings = GatewaySettings | PolicySettings | RetrievalSettings | ToolSettings
