"""Draws a phase in one line: the median TTFT of each bucket, and a line of interrupted streams.

A legend explains the signs that were drawn and no others, with latencies that were measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import Bucket

_LEVELS = "▁▂▃▄▅▆▇█"
_MIN = 1e-3  # ms; the logarithm of 0 is not defined


def merge(buckets: Sequence[Bucket], step: int) -> list[Bucket]:
    """Every `step` buckets as one: the slowest median, the sum of the rest."""
    return [_merged(buckets[first : first + step]) for first in range(0, len(buckets), step)]


def _merged(group: Sequence[Bucket]) -> Bucket:
    known = [bucket.ttft_p50_ms for bucket in group if bucket.ttft_p50_ms is not None]
    return Bucket(
        at_s=group[0].at_s,
        requests=sum(bucket.requests for bucket in group),
        ttft_p50_ms=max(known, default=None),
        interrupted=sum(bucket.interrupted for bucket in group),
        stalls=sum(bucket.stalls for bucket in group),
    )


def scale(buckets: Sequence[Bucket]) -> tuple[float, float] | None:
    """The latencies (ms) of the lowest and the highest character, at least a factor of two; None without latencies."""
    return scale_of([bucket.ttft_p50_ms for bucket in buckets])


def scale_of(latencies: Iterable[float | None]) -> tuple[float, float] | None:
    """The same from latencies."""
    known = [each for each in latencies if each is not None and math.isfinite(each)]
    return (min(known), max(max(known), 2 * min(known))) if known else None


def latency_legend(buckets: Iterable[Bucket], ends: tuple[float, float]) -> str:
    """The least and the largest latency of these, each with its character."""
    known = [each.ttft_p50_ms for each in buckets if each.ttft_p50_ms is not None and math.isfinite(each.ttft_p50_ms)]
    told = (f"{format_value(each, 'ms')} {level(each, ends)}" for each in (min(known), max(known)))
    return " to ".join(dict.fromkeys(told))


def mark_legend(signs: str) -> str:
    """What the marks among these signs say; empty without marks."""
    meanings = {"×": "× 1", "2": "2–9", "+": "+ 10 or more"}
    drawn = {"2" if sign.isdigit() else sign for sign in signs}
    told = [meaning for sign, meaning in meanings.items() if sign in drawn]
    return f"interrupted: {', '.join(told)}" if told else ""


def line(buckets: Sequence[Bucket], ends: tuple[float, float]) -> str:
    """A character for each bucket, on a logarithmic scale; a blank without requests, `!` without a first token."""
    return "".join(level(bucket.ttft_p50_ms, ends) for bucket in buckets)


def level(value: float | None, ends: tuple[float, float]) -> str:
    """The character for a latency in ms: higher for longer; a blank for none, `!` for never."""
    if value is None:
        return " "
    if math.isinf(value):
        return "!"
    low, high = (max(end, _MIN) for end in ends)
    level = math.log(max(value, low) / low) / math.log(high / low) if high > low else 0.0
    return _LEVELS[min(len(_LEVELS) - 1, int(level * len(_LEVELS)))]


def interruption_marks(buckets: Sequence[Bucket]) -> str:
    """How many streams were interrupted in each bucket: × for one, a digit, + for ten and more."""
    marks = {0: " ", 1: "×"}
    return "".join(
        marks.get(bucket.interrupted, str(bucket.interrupted) if bucket.interrupted < 10 else "+") for bucket in buckets
    ).rstrip()
