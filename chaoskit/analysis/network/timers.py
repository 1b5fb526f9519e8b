"""Finds timers between client and server by the times at which they cut streams off.

| ended by the other side, all after the same          | finding                                           |
|------------------------------------------------------|---------------------------------------------------|
| silence, whatever came before it                     | an idle timer, as of nginx's `proxy_read_timeout` |
| time since the request, with data until the end      | a limit on the whole response, as of Envoy's route |

Envoy cuts a stream, and closes its connection a second later (`delayed_close_timeout`): a second of silence, and no
more, before ends that are alike is that, and no idle timer.

nginx does not set its timer anew for data that arrives less than 300 ms after it was set (`NGX_TIMER_LAZY_DELAY`): it
cuts off after up to 300 ms less than its timeout. Times of silence may therefore be that far apart, where no more of
them are alike.

That times are alike by chance has at most the probability n C(n - 1, k - 1) w^(k - 1), for k of n times within the
share w of the shortest, if no time is likelier than another of its size (a union bound). A finding needs less than
1 in 1000 (`loss_odds`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from chaoskit.analysis.findings import Evidence, FindingConfidence, Intermediary, IntermediaryKind
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.network.loss_odds import CERTAIN, UNLIKELY
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Request
from chaoskit.units import counted

_CLOSED = ("truncated", "reset", "protocol_error")
_GATEWAY_STATUSES = (408, 502, 503, 504, 524)
_SHORTEST = 1_000_000_000  # ns: what is cut off sooner is no timer for idle connections
_WIDTH = 0.03  # of a time: timers of a load balancer are checked once a second
_LAZY = 300_000_000  # ns: nginx's NGX_TIMER_LAZY_DELAY
_FEWEST = 3  # streams
_LINGER = 1_000_000_000  # ns: Envoy's delayed_close_timeout
_LONGEST_LINGER = 1_200_000_000  # ns: the same, and an interval of tokens before
_SIMULTANEOUS = 50_000_000  # ns: of one moment
_MAX_WORST = 5
_MET = 0.03  # of a default: how near a time must be to it
_IDLE_DEFAULTS = (
    (50, "HAProxy timeout server, as Debian sets it"),
    (60, "nginx proxy_read_timeout, or an AWS load balancer's idle timeout"),
    (100, "Cloudflare"),
    (300, "Envoy stream_idle_timeout"),
)
_RESPONSE_DEFAULTS = (
    (15, "Envoy's route timeout"),
    (29, "AWS API Gateway"),
    (30, "Google Cloud's backend service timeout, or CloudFront's"),
    (60, "Envoy AI Gateway's request timeout"),
)
_IDLE = "nginx proxy_read_timeout, HAProxy timeout server, Envoy stream_idle_timeout, a load balancer's idle timeout"
_RESPONSE = "Envoy route timeout, a load balancer's or a gateway's request timeout"


class _Closed(NamedTuple):
    """A stream that the other side ended: how long it had been silent, and how long it had lasted, ns."""

    stream: Stream
    silence: int
    duration: int


def timers(streams: Iterable[Stream], host: str = "") -> Iterator[Intermediary]:
    """The timers that ended these streams; `host` is whose they are, where that was seen."""
    closed = [_Closed(stream, *_times(stream)) for stream in streams if _is_closed(stream.request)]
    lingering = [each for each in closed if _LINGER <= each.silence < _LONGEST_LINGER and each.duration > 4 * _LINGER]
    if cut := _alike(lingering, lambda each: each.duration):
        yield _finding(cut, closed, [each.duration - _LINGER for each in cut], "response-timer", host)
        return
    idle = _alike(closed, lambda each: each.silence) or _alike(closed, lambda each: each.silence, _LAZY)
    if idle:
        yield _finding(idle, closed, [each.silence for each in idle], "idle-timer", host)
    flowing = [each for each in closed if each.silence < each.duration / 4]
    limited = _alike(flowing, lambda each: each.duration)
    if limited and not set(limited) & set(idle):
        yield _finding(limited, closed, [each.duration for each in limited], "response-timer", host)


def _is_closed(request: Request) -> bool:
    """Whether the other side ended it, or said that it had waited too long."""
    if request.sent is None:
        return False
    return request.completion in _CLOSED or (request.completion == "http_error" and request.status in _GATEWAY_STATUSES)


def _times(stream: Stream) -> tuple[int, int]:
    request = stream.request
    sent = request.sent or request.started
    if request.completion == "http_error":
        waited = (request.headers or request.ended) - sent
        return waited, waited
    duration = request.ended - sent
    if request.headers is None or request.ended - request.headers <= _SIMULTANEOUS:
        return duration, duration  # what had been held back came with the end
    return request.ended - max(stream.last_sign_of_life, sent), duration


def _alike(closed: Sequence[_Closed], time: Callable[[_Closed], int], apart: int = 0) -> list[_Closed]:
    """The most of them whose times are alike, or at most `apart` ns apart, if they are too many for chance."""
    ordered = sorted((each for each in closed if time(each) >= _SHORTEST), key=time)
    best: list[_Closed] = []
    first = 0
    for after, each in enumerate(ordered, 1):
        while time(each) - time(ordered[first]) > max(time(ordered[first]) * _WIDTH, apart):
            first += 1
        if after - first > len(best):
            best = ordered[first:after]
    if len(best) < max(_FEWEST, len(closed) / 2) or _chance(list(map(time, best)), len(ordered)) > UNLIKELY:
        return []
    return best


def _chance(alike: Sequence[int], count: int) -> float:
    """At most how likely so many of `count` times are so much alike by chance."""
    width = max(alike[-1] - alike[0], 1_000_000) / alike[0]
    return count * math.comb(count - 1, len(alike) - 1) * width ** (len(alike) - 1)


def _finding(
    alike: Sequence[_Closed], closed: Sequence[_Closed], times: Sequence[int], kind: IntermediaryKind, host: str
) -> Intermediary:
    is_idle = kind == "idle-timer"
    ends = [each.stream.request.ended for each in alike]
    is_one_event = max(ends) - min(ends) <= _SIMULTANEOUS
    is_certain = _chance(times, len(closed)) <= CERTAIN and not is_one_event
    confidence: FindingConfidence = "certain" if is_certain else "likely"
    middle, spread = times[len(times) // 2], times[-1] - times[0]
    what = "of silence" if is_idle else "from the request, while data arrived"
    whose = f" of {host}" if host else " between you and the server" if is_idle else ""
    timer = f"{'a timer' if is_idle else 'a limit on the whole response'}{whose}"
    streams = sorted(each.stream.number for each in alike)
    return Intermediary(
        kind=kind,
        host=host,
        streams=len(alike),
        of_streams=len(closed),
        seconds=middle / 1e9,
        spread_ms=spread / MS,
        confidence=confidence,
        reason="they all ended at one moment: a restart looks the same" if is_one_event else "",
        evidence=Evidence(file=FILES[Request], count=len(alike), worst=tuple(streams)[:_MAX_WORST]),
        sentence=(
            f"{len(alike)} of {counted(len(closed), 'stream')} that did not end by themselves were cut off after "
            f"{middle / 1e9:.2f} s {what} (spread {format_value(spread / MS, 'ms')}): {timer} "
            f"({_candidates(middle / 1e9, is_idle)})"
        ),
    )


def _candidates(seconds: float, is_idle: bool) -> str:
    """Whose timer it may be: by a default of that time, else the usual ones."""
    for default, whose in _IDLE_DEFAULTS if is_idle else _RESPONSE_DEFAULTS:
        if abs(seconds - default) <= default * _MET:
            return f"{default} s by default: {whose}"
    return _IDLE if is_idle else _RESPONSE
