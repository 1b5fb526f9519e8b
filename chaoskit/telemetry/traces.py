"""Prepares the spans of a run for analysis: each once, on one clock, one for each hop. Pure.

| what programs export                                  | what is made of it                                       |
|-------------------------------------------------------|----------------------------------------------------------|
| a span twice, because the answer to an export was lost | the first is kept                                       |
| a span of an operation within one of the same         | `other`: it is a detail of the hop, unless an attempt    |
| stamps of another clock                               | moved, and told: see `clocks`                            |
| nothing for a request                                 | the request is counted, with the reason if it is known   |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chaoskit.records.model import Request
from chaoskit.records.span_names import ATTEMPT, HEDGE
from chaoskit.records.spans import Exports, Span
from chaoskit.telemetry.clocks import ClockShift, aligned
from chaoskit.units import counted

_MOST_ANCESTORS = 100  # of one span: parents may form a circle, as they are what programs say


@dataclass(frozen=True)
class Traces:
    """The spans of a run, and how far they tell of all its requests.

    `without` are the numbers of the requests that were sent and have no span; `reason` says why, "" where none is.
    """

    spans: tuple[Span, ...]
    shifts: tuple[ClockShift, ...]
    requests: int
    without: tuple[int, ...]
    reason: str


def traces(
    requests: Iterable[Request], spans: Sequence[Span], exports: Sequence[Exports], has_one_clock: bool
) -> Traces:
    """Those of a run. `has_one_clock`: all its programs ran on this kernel, as in a lab."""
    asked = {each.trace: each for each in requests if each.trace is not None and each.sent is not None}
    known: dict[tuple[str, str], Span] = {}
    for span in spans:
        known.setdefault((span.trace, span.span), span)
    once = list(known.values())
    kept, shifts = (once, []) if has_one_clock else aligned(once, asked)
    have = {span.trace for span in kept}
    without = tuple(request.stream for trace, request in asked.items() if trace not in have)
    reason = _reason(len(asked), len(without), exports, shifts) if without else ""
    return Traces(tuple(_hops(kept)), tuple(shifts), len(asked), without, reason)


def _hops(spans: Sequence[Span]) -> Iterable[Span]:
    known = {(span.trace, span.span): span for span in spans}
    for span in spans:
        is_attempt = ATTEMPT in span.attributes or HEDGE in span.attributes
        if span.operation != "other" and not is_attempt and _is_detail(span, known):
            yield replace(span, operation="other")
        else:
            yield span


def _is_detail(span: Span, known: Mapping[tuple[str, str], Span]) -> bool:
    """Whether it is within a span of the same operation, of the same program."""
    above = span
    for _ in range(_MOST_ANCESTORS):
        found = known.get((span.trace, above.parent)) if above.parent is not None else None
        if found is None or found.host != span.host or found is span:
            return False
        if found.operation == span.operation:
            return True
        above = found
    return False


def _reason(requests: int, without: int, exports: Sequence[Exports], shifts: Sequence[ClockShift]) -> str:
    """Why requests have no span, as far as it is known."""
    some = (
        f"{without} of {counted(requests, 'request')} have no span" if without < requests else "no request has a span"
    )
    wild = [each.host for each in shifts if each.shift is None]
    problem = next((each.problem for each in exports if each.refused and each.problem), None)
    foreign = sum(each.foreign for each in exports)
    beyond = sum(each.beyond for each in exports)
    if wild:
        return f"{some}: the clock of {', '.join(wild)} jumped, and its spans fit no request"
    if problem is not None:
        return f"{some}: {counted(sum(each.refused for each in exports), 'export')} could not be read: {problem}"
    if beyond:
        return f"{some}: there was no room for {counted(beyond, 'span')}"
    if foreign and not any(each.spans for each in exports):
        return f"{some}: {counted(foreign, 'exported span')} had other traces; the program must take over traceparent"
    if without == requests and not any(each.exports for each in exports):
        return f"{some}: no program exported any"
    return some
