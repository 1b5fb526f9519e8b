"""Computes how long after a phase goodput is back at its level before it.

The level is the share of good requests among those scheduled in the nearest clean phase before. Goodput is back with
the first request after the phase from which on at least that share of 20 requests in a row are good. It is a share, so
that a wave of arrivals is neither a recovery nor a relapse, and it is of 20 requests because a shorter row has no steps
of 5 %: the least that tells a p95 from the maximum. A row that falls short by less than one request has the level.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from chaoskit.analysis.streams.timeline import FOREVER, Span, Timeline
from chaoskit.records.model import Request
from chaoskit.spec.sample_size import RECOVERY_ROW
from chaoskit.units import counted

WARM_UP = "warm-up"


@dataclass(frozen=True)
class Recovery:
    """The time, ns; infinity where goodput was not back, though it was `watched` for so long. Or why there is none."""

    time: float | None
    watched: float = 0.0
    requests: int = 0
    missing: str = ""


class Recoveries:
    """The recoveries of a run: the longest of all rounds of a phase, or of all phases with faults or a surge."""

    def __init__(
        self, timeline: Timeline, requests: Iterable[Request], good: frozenset[int], clean: Collection[str]
    ) -> None:
        """`clean`: the names of phases without a fault and a surge."""
        self._timeline, self._good, self._clean = timeline, good, clean
        self._requests = sorted(requests, key=lambda request: request.scheduled)

    def of(self, phase: str, numbers: frozenset[int] | None) -> Recovery:
        """After the phase of this name; "": after each phase that is not clean. Of these streams alone, or of all."""
        if phase in self._clean:
            return Recovery(None, missing=f"{phase} has neither a fault nor a surge to recover from")
        requests = [each for each in self._requests if numbers is None or each.stream in numbers]
        found = [
            self._after(index, requests)
            for index, span in enumerate(self._timeline.spans)
            if span.name == phase or (not phase and span.name not in self._clean)
        ]
        if not found or len(self._timeline.spans) == 1:
            return Recovery(None, missing="no phase of the run has a fault or a surge")
        return next((each for each in found if each.time is None), None) or max(found, key=_longest)

    def _after(self, index: int, requests: Sequence[Request]) -> Recovery:
        spans = self._timeline.spans
        before, span = self._clean_before(spans[:index]), spans[index]
        if before is None:
            return Recovery(None, missing=f"no clean phase stands before {span.name}")
        if span.cleared == FOREVER:
            return Recovery(None, missing=f"no phase follows {span.name}")
        until = next((each.begin for each in spans[index + 1 :] if each.name not in self._clean), self._timeline.end)
        level = [each.stream in self._good for each in _scheduled(requests, before.ready, before.end)]
        after = list(_scheduled(requests, span.cleared, until))
        for many, where in ((len(level), f"before {span.name}"), (len(after), f"after {span.name}")):
            if many < RECOVERY_ROW:
                return Recovery(
                    None, missing=f"{counted(many, 'request')} {where}, and it takes {RECOVERY_ROW} in a row"
                )
        if not any(level):
            return Recovery(None, missing=f"no request before {span.name} was good")
        return self._found(after, sum(level) * RECOVERY_ROW // len(level), span.cleared)

    def _clean_before(self, spans: Sequence[Span]) -> Span | None:
        return next((span for span in reversed(spans) if span.name in self._clean and span.name != WARM_UP), None)

    def _found(self, after: Sequence[Request], needed: int, cleared: int) -> Recovery:
        """`needed`: good ones in a row of requests."""
        sums = [0, *accumulate(each.stream in self._good for each in after)]
        rows = range(len(after) - RECOVERY_ROW + 1)
        first = next((row for row in rows if sums[row + RECOVERY_ROW] - sums[row] >= needed), None)
        watched = after[rows[-1]].scheduled - cleared
        if first is None:
            return Recovery(math.inf, watched, len(after))
        return Recovery(after[first].scheduled - cleared if first else 0, watched, len(after))


def _longest(recovery: Recovery) -> tuple[float, float]:
    """Of those that never came, the one that was watched for the shortest time says the least."""
    assert recovery.time is not None
    return recovery.time, -recovery.watched


def _scheduled(requests: Iterable[Request], begin: int, end: int) -> Iterator[Request]:
    return (request for request in requests if begin <= request.scheduled < end)
