"""Computes the latencies of one stream, each with the interval of time it is attributed to.

Rules: what was not reached has the value `NEVER`, over the whole time that it was waited for. A user who gave up and
asked again waits from the first time on, and has one value: that of the last attempt; only `ttft_from_sent` is of each
attempt. A stream that this machine could not run has none. None is negative: the kernel may stamp an answer before the
client stamps the end of its request.

Of a stream that this client stopped waiting for it is known that its latency is longer than it `waited`, and no more:
it is censored. So is one that the end of the run cut off; it is `NEVER` only when it waited longer than every known
latency (`resolve_censored`). A stream that died had no such latency, however long one waits.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from chaoskit.analysis.streams.assemble import Stream
from chaoskit.records.model import Completion

NEVER = math.inf
GIVEN_UP: frozenset[Completion] = frozenset(("first_token_timeout", "idle_timeout", "stream_timeout", "abandoned"))
"""How streams end that this client, or its user, stopped waiting for."""


class Latency(NamedTuple):
    """A latency, ns. `waited`: of one that is censored, how long; `is_cut`: by the end of the run."""

    name: str
    stream: int
    begin: int
    end: int
    value: float
    waited: float | None = None
    is_cut: bool = False


@dataclass(frozen=True)
class Unreached:
    """What is known of the times of some streams that have no end: by stream, ns.

    `given_up` are `NEVER`: this client stopped waiting after so long. `cut` are not among the times: the end of the run
    cut them off after so long, and others took longer. `unfinished` are among the times: as long as their stream lived.
    """

    given_up: Mapping[int, float] = field(default_factory=dict)
    cut: Mapping[int, float] = field(default_factory=dict)
    unfinished: Collection[int] = frozenset()

    def only(self, numbers: Collection[int]) -> Unreached:
        """Of these streams alone."""
        given_up, cut = ({key: found[key] for key in found if key in numbers} for found in (self.given_up, self.cut))
        return Unreached(given_up, cut, frozenset(key for key in self.unfinished if key in numbers))


ALL_REACHED = Unreached()


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


def resolve_censored(found: Iterable[Latency]) -> tuple[list[tuple[int, float]], Unreached]:
    """(stream, ns) of each but those that the end of the run cut off too early; and what is known of the others."""
    every = list(found)
    longest = max((each.value for each in every if each.value != NEVER), default=0.0)
    is_early = [each.is_cut and each.waited is not None and each.waited <= longest for each in every]
    cut = {each.stream: each.waited or 0.0 for each, early in zip(every, is_early, strict=True) if early}
    known = [each for each, early in zip(every, is_early, strict=True) if not early]
    given_up = {each.stream: each.waited for each in known if each.waited is not None}
    return [(each.stream, each.value) for each in known], Unreached(given_up, cut)


def _reached(stream: Stream, name: str, begin: int, start: int, stamp: int | None) -> Latency:
    """From `start` on, and attributed to the time from `begin` on."""
    ended = stream.request.ended
    if stamp is not None:
        return Latency(name, stream.number, begin, stamp, max(0, stamp - start))
    is_cut, waited = stream.is_cancelled, None
    if is_cut or stream.request.completion in GIVEN_UP:
        waited = max(0, ended - start)
    return Latency(name, stream.number, begin, ended, NEVER, waited, is_cut)


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
