"""Finds clocks of programs that differ from the run's, by what cannot be otherwise. Pure.

A span of a request begins after the request was sent, and before it ended. The shift s that is to be added to a
program's stamps therefore has, over all its requests, max(sent - begin) <= s <= min(ended - begin). Where 0 is within,
nothing is changed: a difference that is smaller than the way of a request cannot be seen. Else s is the middle of what
is possible; it is narrower where spans also end before their requests, as they do unless a program works on after its
answer. Where nothing is possible, the clock jumped, or the spans are of other requests: they are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chaoskit.records.model import Request
from chaoskit.records.spans import Span

_SLACK = 2_000_000  # ns: how well two reads of a clock are paired, and how fast NTP slews it within a run


@dataclass(frozen=True)
class ClockShift:
    """What was added to the stamps of a program, give or take `within`, ns.

    `shift` None: no shift explains its stamps, and its spans are left out.
    """

    host: str
    shift: int | None
    within: int
    requests: int


def aligned(spans: Sequence[Span], requests: Mapping[str, Request]) -> tuple[list[Span], list[ClockShift]]:
    """The spans on the run's clock, and the programs whose stamps were changed. `requests` are those of each trace."""
    shifts = {
        host: shift for host, own in _by_host(spans).items() if (shift := clock_shift(host, own, requests)) is not None
    }
    moved = [_moved(span, shifts.get(span.host)) for span in spans]
    return [span for span in moved if span is not None], list(shifts.values())


def clock_shift(host: str, spans: Iterable[Span], requests: Mapping[str, Request]) -> ClockShift | None:
    """The shift of a program with these spans; None where there is no sign of any."""
    windows = _windows(spans, requests)
    if not windows:
        return None
    least = max(sent - begin for sent, _, begin, _ in windows)
    most = min(ended - begin for _, ended, begin, _ in windows)
    narrow = min(ended - end for _, ended, _, end in windows)
    if least <= _SLACK and most >= -_SLACK:
        return None
    if least > most + _SLACK:
        return ClockShift(host, None, 0, len(windows))
    most = narrow if narrow >= least else max(most, least)
    return ClockShift(host, (least + most) // 2, (most - least + 1) // 2, len(windows))


def _windows(spans: Iterable[Span], requests: Mapping[str, Request]) -> list[tuple[int, int, int, int]]:
    """Of each request with spans: when it was sent and ended, when the first of them began and the last one ended."""
    found: dict[str, tuple[int, int]] = {}
    for span in spans:
        begin, end = found.get(span.trace, (span.begin, span.end))
        found[span.trace] = (min(begin, span.begin), max(end, span.end))
    asked = ((requests[trace], own) for trace, own in found.items() if trace in requests)
    return [(request.sent, request.ended, *own) for request, own in asked if request.sent is not None]


def _by_host(spans: Iterable[Span]) -> dict[str, list[Span]]:
    found = defaultdict[str, list[Span]](list)
    for span in spans:
        found[span.host].append(span)
    return found


def _moved(span: Span, shift: ClockShift | None) -> Span | None:
    if shift is None:
        return span
    if shift.shift is None:
        return None
    return replace(span, begin=max(0, span.begin + shift.shift), end=max(0, span.end + shift.shift))
