"""Attributes measurements to phases.

Rules: a phase lasts from `begin` until the next one begins; its faults may have an effect until the next one is ready.
An interval is charged to the first faulted phase that it overlaps, else to the phase in which it began: the effect of a
fault is never charged to the baseline before it. The drain belongs to the phase before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chaoskit.analysis.streams.columns import Ints
from chaoskit.records.model import DRAIN, Phase

FOREVER = 2**63


@dataclass(frozen=True)
class Span:
    """One occurrence of a phase, stamps in ns. `end` is the end of its time, `cleared` when its faults were removed."""

    name: str
    round: int
    faults: tuple[str, ...]
    begin: int
    ready: int
    end: int
    cleared: int


@dataclass(frozen=True)
class Timeline:
    """The spans of a run, in order, without gaps between them."""

    spans: tuple[Span, ...]

    @property
    def begin(self) -> int:
        """When the first phase began; 0 without phases."""
        return self.spans[0].begin if self.spans else 0

    @property
    def end(self) -> int:
        """When the last phase ended; 0 without phases."""
        return self.spans[-1].end if self.spans else 0

    @property
    def names(self) -> tuple[str, ...]:
        """Each phase's name once, in order of its first appearance."""
        return tuple(dict.fromkeys(span.name for span in self.spans))

    def span_at(self, stamp: int) -> Span:
        """The span in which `stamp` lies; the first one for everything before it."""
        return self.spans[self._index(stamp)]

    def span_charged(self, begin: int, end: int) -> Span:
        """The span that the interval from `begin` to `end` is charged to."""
        first = self._index(begin)
        if first and begin < self.spans[first - 1].cleared and self.spans[first - 1].faults:
            return self.spans[first - 1]
        for span in self.spans[first:]:
            if span.begin > end:
                break
            if span.faults:
                return span
        return self.spans[first]

    def indices_at(self, stamps: Ints) -> Ints:
        """The index of each stamp's span, as `span_at` finds it."""
        begins = np.array([span.begin for span in self.spans], dtype=np.int64)
        return np.maximum(0, np.searchsorted(begins, stamps, side="right") - 1)

    def indices_charged(self, begin: Ints, end: Ints) -> Ints:
        """The index of each interval's span, as `span_charged` finds it."""
        faulted = [index for index, span in enumerate(self.spans) if span.faults]
        no_span = len(self.spans)
        following = np.array([next((f for f in faulted if f >= index), no_span) for index in range(no_span)])
        begins = np.array([*(span.begin for span in self.spans), FOREVER - 1], dtype=np.int64)
        clears = np.array([min(span.cleared, FOREVER - 1) if span.faults else 0 for span in self.spans], dtype=np.int64)
        first = self.indices_at(begin)
        touched = following[first]
        found = np.where(begins[touched] <= end, touched, first)
        before = np.maximum(0, first - 1)
        return np.where((first > 0) & (begin < clears[before]), before, found)

    def _index(self, stamp: int) -> int:
        return max(0, bisect_right(self.spans, stamp, key=lambda span: span.begin) - 1)


def build_timeline(phases: Sequence[Phase], last: int) -> Timeline:
    """The spans of these phases. `last` is the last stamp of the run: an interrupted phase ends there."""
    spans: list[Span] = []
    for index, phase in enumerate(phases):
        if phase.name == DRAIN and spans:
            continue
        after = phases[index + 1] if index + 1 < len(phases) else None
        end = after.begin if after else max(phase.begin, min(phase.until, last))
        cleared = after.ready if after and after.name != DRAIN else FOREVER
        spans.append(Span(phase.name, phase.round, phase.faults, phase.begin, phase.ready, end, cleared))
    return Timeline(tuple(spans))


def single_phase(name: str, begin: int, end: int) -> Timeline:
    """A timeline of one phase without faults, for runs that have no plan."""
    return Timeline((Span(name, 0, (), begin, begin, max(begin, end), FOREVER),))
