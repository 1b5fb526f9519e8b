"""The times of one stream, and the stretch of time each belongs to.

Rules: what was never reached is never, and belongs to the whole time it was waited for. A stream that our
own end of the run cut off was waited for so long and no longer: `Never` when that is longer than every one
that came, else it tells nothing and is left out (`settle`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chaoskit.analysis.streams.assemble import Stream

NEVER = math.inf


class Latency(NamedTuple):
    """`value` in ns. `is_open`: nobody knows how long it would have been, but it was at least `value`."""

    name: str
    stream: int
    begin: int
    end: int
    value: float
    is_open: bool = False


def latencies(stream: Stream) -> Iterator[Latency]:
    """All that are known, in no order. Those of gaps are not among them."""
    asked = stream.request
    yield _reached(stream, "ttf_event", asked.scheduled, asked.first_event)
    yield _reached(stream, "ttft", asked.scheduled, asked.first_token)
    yield _reached(stream, "ttft_from_sent", asked.sent or asked.started, asked.first_token)
    if asked.first_output is not None or not (stream.is_complete and stream.tokens):
        yield _reached(stream, "ttfo", asked.scheduled, asked.first_output)
    yield _reached(stream, "e2el", asked.scheduled, _end(stream))
    if asked.first_token is not None and asked.last_token is not None and asked.tokens > 1:
        pace = (asked.last_token - asked.first_token) / (asked.tokens - 1)
        yield Latency("tpot", stream.number, asked.first_token, asked.last_token, pace)
    yield from _steps(stream)


def settle(found: Iterable[Latency]) -> list[tuple[int, float]]:
    """(stream, ns) of each, the open ones decided or left out."""
    known = [latency for latency in found if not latency.is_open]
    longest = max((latency.value for latency in known if latency.value != NEVER), default=0.0)
    outlasted = [latency for latency in found if latency.is_open and latency.value > longest]
    return [(latency.stream, latency.value) for latency in known] + [(latency.stream, NEVER) for latency in outlasted]


def _reached(stream: Stream, name: str, start: int, stamp: int | None) -> Latency:
    scheduled, ended = stream.request.scheduled, stream.request.ended
    if stamp is not None:
        return Latency(name, stream.number, scheduled, stamp, stamp - start)
    if stream.is_cancelled:
        return Latency(name, stream.number, scheduled, ended, ended - start, is_open=True)
    return Latency(name, stream.number, scheduled, ended, NEVER)


def _end(stream: Stream) -> int | None:
    if not stream.is_complete:
        return None
    return stream.request.last_token or stream.request.ended


def _steps(stream: Stream) -> Iterator[Latency]:
    asked = stream.request
    until = asked.sent or asked.ended
    steps = {
        "dns": asked.dns_duration,
        "connect": asked.connect_duration,
        "tls": asked.tls_duration,
        "upload": asked.upload_duration,
    }
    for name, took in steps.items():
        if took is not None:
            yield Latency(name, stream.number, asked.started, until, took)
    if asked.completion == "connect_failed":
        failed = "connect" if asked.connect_duration is None else "tls"
        yield Latency(failed, stream.number, asked.started, asked.ended, NEVER)
