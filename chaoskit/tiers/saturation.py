"""Tells how saturated a model is from what its `/metrics` last said, as llm-d's router does.

    saturation = the mean over the endpoints of max(waiting requests / 5, KV cache usage / 0.8)

An endpoint whose metrics are older than `stale_after` counts as saturated (1): a blind router must not send more.
Source: llm-d-router, `saturationdetector/framework/plugins/utilization` (queue depth 5, KV cache 0.8, 200 ms).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

FULL_QUEUE = 5  # waiting requests of a saturated endpoint
FULL_CACHE = 0.8  # the part of the KV cache that a saturated endpoint uses
STALE_AFTER = 200_000_000  # ns
_SATURATED = 1.0
_SAMPLE = re.compile(r"^vllm:(num_requests_running|num_requests_waiting|kv_cache_usage_perc)(?:\{[^}]*\})? (\S+)", re.M)
_MOST = 1e9


@dataclass(frozen=True)
class ModelLoad:
    """What an endpoint said of itself: requests that run and wait, and the part of its KV cache in use."""

    running: int
    waiting: int
    kv_usage: float


def read_metrics(text: str) -> ModelLoad | None:
    """The load in a page of vLLM's metrics, summed over its engines (the KV cache: the fullest); None: it has none."""
    found: dict[str, list[float]] = {}
    for name, written in _SAMPLE.findall(text):
        try:
            value = float(written)
        except ValueError:
            return None
        if not 0 <= value < _MOST:
            return None
        found.setdefault(name, []).append(value)
    if len(found) < 3:
        return None
    running, waiting = (int(sum(found[name])) for name in ("num_requests_running", "num_requests_waiting"))
    return ModelLoad(running, waiting, max(found["kv_cache_usage_perc"]))


class Telemetry:
    """The latest load of each endpoint, and how old it is."""

    def __init__(self, endpoints: Iterable[str], stale_after: int = STALE_AFTER) -> None:
        self._loads: dict[str, tuple[ModelLoad, int] | None] = dict.fromkeys(endpoints)
        self._stale_after = stale_after

    def observe(self, endpoint: str, load: ModelLoad, asked: int) -> None:
        """It said so, when it was asked at this stamp."""
        self._loads[endpoint] = (load, asked)

    def saturation(self, now: int, held: int = 0) -> float:
        """From 0 on; 1 and more: saturated. `held` requests wait elsewhere for these endpoints. 0 without endpoints."""
        if not self._loads:
            return 0.0
        each = held / len(self._loads)
        return sum(self._of(name, now, each) for name in self._loads) / len(self._loads)

    def waiting(self) -> int:
        """Requests that wait at all endpoints, as far as is known."""
        return sum(load.waiting for load, _ in filter(None, self._loads.values()))

    def is_stale(self, now: int) -> bool:
        """Whether nothing recent is known of any endpoint."""
        return bool(self._loads) and all(self._fresh(name, now) is None for name in self._loads)

    def _of(self, endpoint: str, now: int, held: float) -> float:
        load = self._fresh(endpoint, now)
        if load is None:
            return max(_SATURATED, held / FULL_QUEUE)
        return max((load.waiting + held) / FULL_QUEUE, load.kv_usage / FULL_CACHE)

    def _fresh(self, endpoint: str, now: int) -> ModelLoad | None:
        found = self._loads[endpoint]
        return found[0] if found is not None and now - found[1] <= self._stale_after else None
