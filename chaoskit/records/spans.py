"""Defines the records of AI tiers: spans, one for each hop of a request, and a model's queue.

The reference tiers write their spans into the run directory; other programs export theirs by OTLP/HTTP. Attributes have
the names of the GenAI conventions where these have one, else they begin with `chaoskit.`
(https://opentelemetry.io/docs/specs/semconv/gen-ai/).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Operation = Literal["workflow", "policy", "retrieval", "tool", "model", "other"]
"""What a hop is for; how the span of a foreign program becomes one is `telemetry/`'s."""
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
RetrievalOutcome = Literal["hit", "miss", "timeout", "error", "degraded"]
"""`miss`: it answered in time that it has nothing; `degraded`: a part of its shards or of the asked breadth."""


@dataclass(frozen=True, slots=True)
class Span:
    """One hop of a request, or one attempt of it. Stamps are monotonic ns of the run's clock."""

    trace: str
    """The request's trace, 32 hexadecimal digits; a request's number is in `requests.jsonl` beside its trace."""
    span: str
    """Its identity, 16 hexadecimal digits."""
    parent: str | None
    """The span that it belongs to; null for the first of a program that was not told of one."""
    host: str
    """The host of the lab that made it, or the service's name."""
    name: str
    """What its program calls it."""
    operation: Operation
    """What it is for."""
    begin: int
    """When it began."""
    end: int
    """When it ended."""
    error: str | None = None
    """The `error.type` of the conventions: `timeout`, an HTTP status, a name; null where it succeeded."""
    attributes: dict[str, str | int | bool] = field(default_factory=dict)
    """Its further attributes, those that the analysis knows."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """The queue of a model whose server batches requests, at regular times."""

    host: str
    """The host."""
    at: int
    """When it was taken."""
    running: int
    """Requests in the batch."""
    waiting: int
    """Requests in the queue."""
    kv_used: int
    """Tokens in the KV cache."""
    kv_size: int
    """Tokens that it can hold."""
    busy: int
    """Time in which steps were computed, since the start, ns: `nvidia-smi` calls its share utilisation."""
    preemptions: int
    """Requests that lost their KV cache, since the start."""
    tokens: int
    """Tokens of prompts and answers that were computed, since the start."""


@dataclass(frozen=True, slots=True)
class Exports:
    """What a program had exported when the receiver of spans ended. All but the stamp are counts."""

    host: str
    """The host of the lab; outside of a lab the name of the service, `unknown_service` where it names none."""
    at: int
    """When the receiver ended."""
    exports: int = 0
    """Exports of spans."""
    spans: int = 0
    """Spans that were recorded."""
    foreign: int = 0
    """Spans of other traces than those of the run's requests, which were not recorded."""
    details: int = 0
    """Spans of single messages within a request (ASGI: one for each chunk of an answer), which were not recorded."""
    wrong: int = 0
    """Spans without an identity, with an end before their begin, or with a time years away."""
    beyond: int = 0
    """Spans for which there was no room."""
    refused: int = 0
    """Exports that were answered with an error."""
    other: int = 0
    """Exports of metrics and logs, which are accepted and not read."""
    problem: str | None = None
    """Why the latest export was refused."""
