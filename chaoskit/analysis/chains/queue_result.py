"""Defines what a result says of the queue of a model."""

from __future__ import annotations

from typing import ClassVar

from chaoskit.analysis.finite_json import FiniteJson

_NO_SAMPLE = "no sample of the queue fell into this phase"


class ModelPhase(FiniteJson):
    """The queue of a model in the phases of one name; without the suffix `max` a gauge is the mean of its samples."""

    why_missing: ClassVar = {
        **dict.fromkeys(
            ("running", "running_max", "waiting", "waiting_max", "kv_usage", "kv_usage_max"),
            _NO_SAMPLE,
        ),
        **dict.fromkeys(("requests_per_second", "busy", "computed_per_second"), "the phase took no time"),
        "first_token_p95_ms": "no request of this phase had a token",
    }
    name: str
    requests_per_second: float | None
    busy: float | None
    running: float | None
    running_max: int | None
    waiting: float | None
    waiting_max: int | None
    kv_usage: float | None
    kv_usage_max: float | None
    preemptions: int
    computed_per_second: float | None
    first_token_p95_ms: float | None
    refused: int


class ModelQueue(FiniteJson):
    """The queue of one host's model by phase, and what its gauges say of the best and the worst of them."""

    host: str
    phases: tuple[ModelPhase, ...]
    sentence: str
