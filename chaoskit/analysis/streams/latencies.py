"""Computes the latencies of one stream, each with the interval of time it is attributed to.

Rules: what was not reached has the value `NEVER`, over the whole time that it was waited for. A user who gave up and
asked again waits from the first time on, and has one value: that of the last attempt; only `ttft_from_sent` is of each
attempt. A stream that the end of
the run cut off is censored: its latency is at least the time waited. It is `NEVER` when that is longer than every known
latency, else it is left out (`resolve_censored`). A stream that this machine could
not run has none. None is negative: the kernel may stamp an answer before the client stamps the end of its request.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chaoskit.analysis.streams.assemble import Stream

NEVER = math.inf


class Latency(NamedTuple):
    """A latency, ns. `is_censored`: it is at least `value`, and otherwise unknown."""

    name: str
    stream: int
    begin: int
    end: int
    value: float
    is_censored: bool = False


def latencies(stream: Stream) -> Iterator[Latency]:
    """All latencies of a stream, unordered, without gaps."""
    request = stream.request
    if stream.is_client_error:
        return
    yield _reached(stream, "ttft_from_sent", request.scheduled, request.sent or request.started, request.first_token)
    if not stream.is_asked_again:
        yield from _waits(stream)
    if request.first_token is not None and request.last_token is not None and stream.tokens > 1 < request.tokens:
        pace = max(0, request.last_token - request.first_token) / (stream.tokens - 1)
        yield Latency("tpot", stream.number, request.first_token, request.last_token, pace)
        planned = stream.table.planned_pace.get(stream.number)
        if planned is not None:
            yield Latency("planned_pace", stream.number, request.first_token, request.last_token, planned)
    yield from _connection_steps(stream)


def _waits(stream: Stream) -> Iterator[Latency]:
    """What the user waited for, from the first time that he asked."""
    request, asked = stream.request, stream.asked
    yield _reached(stream, "ttfb", asked, asked, request.headers)
    yield _reached(stream, "ttf_event", asked, asked, request.first_event)
    yield _reached(stream, "ttft", asked, asked, request.first_token)
    if request.first_output is not None or not (stream.is_complete and stream.events):
        yield _reached(stream, "ttfo", asked, asked, request.first_output)
    yield _reached(stream, "e2el", asked, asked, _end(stream))


def resolve_censored(found: Iterable[Latency]) -> list[tuple[int, float]]:
    """(stream, ns) of each, the censored ones resolved or left out."""
    known = [latency for latency in found if not latency.is_censored]
    longest = max((latency.value for latency in known if latency.value != NEVER), default=0.0)
    outlasted = [latency for latency in found if latency.is_censored and latency.value > longest]
    return [(latency.stream, latency.value) for latency in known] + [(latency.stream, NEVER) for latency in outlasted]


def _reached(stream: Stream, name: str, begin: int, start: int, stamp: int | None) -> Latency:
    """From `start` on, and attributed to the time from `begin` on."""
    ended = stream.request.ended
    if stamp is not None:
        return Latency(name, stream.number, begin, stamp, max(0, stamp - start))
    if stream.is_cancelled:
        return Latency(name, stream.number, begin, ended, max(0, ended - start), is_censored=True)
    return Latency(name, stream.number, begin, ended, NEVER)


def _end(stream: Stream) -> int | None:
    if not stream.is_complete:
        return None
    return stream.request.last_token or stream.request.ended


def _connection_steps(stream: Stream) -> Iterator[Latency]:
    request = stream.request
    until = request.sent or request.ended
    steps = {
        "dns": request.dns_duration,
        "connect": request.connect_duration,
        "tls": request.tls_duration,
        "upload": request.upload_duration,
    }
    for name, took in steps.items():
        if took is not None:
            yield Latency(name, stream.number, request.started, until, took)
    if request.completion == "connect_failed":
        failed = "connect" if request.connect_duration is None else "tls"
        yield Latency(failed, stream.number, request.started, request.ended, NEVER)
