"""A phase's course in one line: the median first-token latency of each stretch, and where streams died."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from chaoskit.analysis.result import Bucket

_LEVELS = "▁▂▃▄▅▆▇█"
_LEAST = 1e-3  # ms; a logarithm needs something


def merge(buckets: Sequence[Bucket], step: int) -> list[Bucket]:
    """Every `step` buckets as one: the slowest median, the sum of the rest."""
    return [_merged(buckets[first : first + step]) for first in range(0, len(buckets), step)]


def _merged(few: Sequence[Bucket]) -> Bucket:
    known = [bucket.ttft_p50_ms for bucket in few if bucket.ttft_p50_ms is not None]
    return Bucket(
        at_s=few[0].at_s,
        requests=sum(bucket.requests for bucket in few),
        ttft_p50_ms=max(known, default=None),
        interrupted=sum(bucket.interrupted for bucket in few),
        stalls=sum(bucket.stalls for bucket in few),
    )


def scale(buckets: Sequence[Bucket]) -> tuple[float, float] | None:
    """Which latencies (ms) the lowest and the highest sign stand for, at least a doubling; None: none came."""
    return bounds([bucket.ttft_p50_ms for bucket in buckets])


def bounds(latencies: Iterable[float | None]) -> tuple[float, float] | None:
    """The same of latencies by themselves."""
    known = [each for each in latencies if each is not None and math.isfinite(each)]
    return (min(known), max(max(known), 2 * min(known))) if known else None


def line(buckets: Sequence[Bucket], ends: tuple[float, float]) -> str:
    """A sign for each bucket, on a logarithmic scale; a blank where nobody asked, `!` where none came."""
    return "".join(sign(bucket.ttft_p50_ms, ends) for bucket in buckets)


def sign(value: float | None, ends: tuple[float, float]) -> str:
    """One latency in ms: higher for longer; a blank for none, `!` for never."""
    if value is None:
        return " "
    if math.isinf(value):
        return "!"
    low, high = (max(end, _LEAST) for end in ends)
    level = math.log(max(value, low) / low) / math.log(high / low) if high > low else 0.0
    return _LEVELS[min(len(_LEVELS) - 1, int(level * len(_LEVELS)))]


def deaths(buckets: Sequence[Bucket]) -> str:
    """Under each bucket how many streams were interrupted in it: × for one, a digit, + for ten and more."""
    signs = {0: " ", 1: "×"}
    return "".join(
        signs.get(bucket.interrupted, str(bucket.interrupted) if bucket.interrupted < 10 else "+") for bucket in buckets
    ).rstrip()
