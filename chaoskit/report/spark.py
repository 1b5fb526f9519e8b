"""A phase's course in one line: the median first-token latency of each stretch, and where streams died."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chaoskit.analysis.result import Bucket

_LEVELS = "▁▂▃▄▅▆▇█"


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
    """The least and the largest latency (ms) that came; None when none did."""
    known = [b.ttft_p50_ms for b in buckets if b.ttft_p50_ms is not None and math.isfinite(b.ttft_p50_ms)]
    return (min(known), max(known)) if known else None


def line(buckets: Sequence[Bucket], ends: tuple[float, float]) -> str:
    """A sign for each bucket, on a logarithmic scale; a blank where nobody asked, `!` where none came."""
    low, high = ends
    reach = math.log(max(high / max(low, 1e-3), 2.0))
    return "".join(_sign(bucket.ttft_p50_ms, low, reach) for bucket in buckets)


def _sign(value: float | None, low: float, reach: float) -> str:
    if value is None:
        return " "
    if math.isinf(value):
        return "!"
    level = math.log(max(value, 1e-3) / max(low, 1e-3)) / reach
    return _LEVELS[min(len(_LEVELS) - 1, int(level * len(_LEVELS)))]


def deaths(buckets: Sequence[Bucket]) -> str:
    """Under each bucket how many streams were interrupted in it: × for one, a digit, + for ten and more."""
    signs = {0: " ", 1: "×"}
    return "".join(
        signs.get(bucket.interrupted, str(bucket.interrupted) if bucket.interrupted < 10 else "+")
        for bucket in buckets
    ).rstrip()
