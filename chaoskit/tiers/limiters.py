"""Limits the requests in flight by how latency changes, as limiters of CRUD services do.

| limiter     | new limit                                                                                             |
|-------------|-------------------------------------------------------------------------------------------------------|
| `envoy`     | limit x gradient + sqrt(limit x gradient), gradient = (minRTT + buffer) / sampleRTT within 0.5 and 2  |
| `gradient2` | smoothed limit x gradient + 4, gradient = tolerance x longRTT / RTT within 0.5 and 1                  |

Both take the latency of a whole request. That of a streamed answer is its length: they shed when answers get longer,
though nothing is slower. Pure: times are arguments, in ns.

Sources: Envoy, `adaptive_concurrency` (gradient controller); Netflix concurrency-limits, `Gradient2Limit`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

_MS = 1_000_000
LimiterName = Literal["envoy", "gradient2"]
Sampled = Literal["answer", "first-token"]
"""What is taken for the latency of a request: until the end of its answer, or until its first token."""


class Limiter(Protocol):
    """Tells how many requests may be in flight."""

    @property
    def limit(self) -> int:
        """As many, now."""

    def sample(self, latency: int, in_flight: int, now: int) -> None:
        """A request took so long, and as many were in flight at its end, itself included."""


@dataclass(frozen=True)
class LimiterSettings:
    """A limiter. `first_limit`, `least` and `most` bound its limit; the rest is named as in its source."""

    name: LimiterName = "gradient2"
    sampled: Sampled = "answer"
    first_limit: int = 20
    least: int = 3
    most: int = 200
    tolerance: float = 1.5
    """Of gradient2: a latency of so many long-term ones lowers the limit."""
    smoothing: float = 0.2
    """Of gradient2: how much of a new limit counts."""
    update_interval: int = 100 * _MS
    """Of envoy: how long samples are taken for a new limit."""
    min_rtt_interval: int = 60_000 * _MS
    """Of envoy: from one measurement of minRTT to the next."""
    min_rtt_requests: int = 50
    """Of envoy: requests that a measurement of minRTT takes, `least` at a time."""
    buffer: float = 0.25
    """Of envoy: a latency so far above minRTT is no reason for a lower limit."""


def limiter(settings: LimiterSettings) -> Limiter:
    """The limiter that these describe."""
    return Envoy(settings) if settings.name == "envoy" else Gradient2(settings)


class Gradient2:
    """Netflix' second gradient: the latest latency against a long exponential mean."""

    _WINDOW = 600  # samples of the long mean
    _WARM_UP = 10  # samples of which it is the plain mean
    _QUEUE = 4  # requests that may wait

    def __init__(self, settings: LimiterSettings) -> None:
        self._settings = settings
        self._limit = float(settings.first_limit)
        self._long = 0.0
        self._samples = 0

    @property
    def limit(self) -> int:
        """See `Limiter`."""
        return int(self._limit)

    def sample(self, latency: int, in_flight: int, now: int) -> None:
        """See `Limiter`."""
        del now
        short = float(max(latency, 1))
        long = self._mean(short)
        if long / short > 2:
            self._long *= 0.95  # so that it comes down fast after a time of trouble
        if in_flight < self._limit / 2:
            return  # the load is the limit, and not the limit the load
        gradient = max(0.5, min(1.0, self._settings.tolerance * long / short))
        wanted = self._limit * gradient + self._QUEUE
        smoothed = self._limit * (1 - self._settings.smoothing) + wanted * self._settings.smoothing
        self._limit = min(max(smoothed, self._settings.least), self._settings.most)

    def _mean(self, value: float) -> float:
        self._samples += 1
        factor = 1 / self._samples if self._samples <= self._WARM_UP else 2 / (self._WINDOW + 1)
        self._long += (value - self._long) * factor
        return self._long


class Envoy:
    """Envoy's gradient controller: the median latency of an interval against the least one, measured now and then."""

    def __init__(self, settings: LimiterSettings) -> None:
        self._settings = settings
        self._limit = settings.first_limit
        self._min_rtt: float | None = None  # None: it is being measured
        self._next_min_rtt = 0
        self._interval_end: int | None = None
        self._latencies: list[int] = []

    @property
    def limit(self) -> int:
        """See `Limiter`. While minRTT is measured, the least."""
        return self._settings.least if self._min_rtt is None else self._limit

    def sample(self, latency: int, in_flight: int, now: int) -> None:
        """See `Limiter`."""
        del in_flight
        self._latencies.append(latency)
        if self._min_rtt is None:
            if len(self._latencies) >= self._settings.min_rtt_requests:
                self._min_rtt = float(_median(self._latencies))
                self._next_min_rtt = now + self._settings.min_rtt_interval
                self._begin_interval(now)
            return
        if self._interval_end is not None and now < self._interval_end:
            return
        self._update(self._min_rtt)
        if now >= self._next_min_rtt:
            self._min_rtt = None
        self._begin_interval(now)

    def _begin_interval(self, now: int) -> None:
        self._latencies = []
        self._interval_end = now + self._settings.update_interval

    def _update(self, min_rtt: float) -> None:
        buffered = min_rtt * (1 + self._settings.buffer)
        gradient = max(0.5, min(2.0, buffered / max(_median(self._latencies), 1)))
        wanted = self._limit * gradient
        self._limit = min(max(int(wanted + math.sqrt(wanted)), self._settings.least), self._settings.most)


def _median(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]
