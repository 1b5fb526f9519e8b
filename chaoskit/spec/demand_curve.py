"""Computes how fast requests come at each moment: by the time of the day and by the phase's multiple.

The curve is a clock. While it says 3x, it runs three times as fast, and so does an arrival process that goes by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from chaoskit.spec.demand import Diurnal

Surges = tuple[tuple[int, float], ...]
"""Consecutive phases from the start: the length in ns, and the multiple of the rate. After the last one it is 1."""
ALWAYS: Surges = ()
_SECOND = 1e9
_HALVINGS = 64  # of an interval of less than a week: below a nanosecond


class DemandCurve:
    """The clock of an arrival process; times are in s."""

    def __init__(self, surges: Surges = ALWAYS, diurnal: Diurnal | None = None) -> None:
        self._surges = surges
        self._amplitude = 0.0 if diurnal is None else diurnal.amplitude
        self._period = 1.0 if diurnal is None else diurnal.period / _SECOND
        self._peak = 0.0 if diurnal is None else diurnal.first_peak / _SECOND

    @property
    def is_flat(self) -> bool:
        """Whether it runs as any clock."""
        return not self._amplitude and all(multiple == 1 for _, multiple in self._surges)

    @property
    def highest(self) -> float:
        """The most that the rate is multiplied by at any time, at the most."""
        return (1 + self._amplitude) * max([1.0, *(multiple for _, multiple in self._surges)])

    def elapsed(self, until: float) -> float:
        """What the clock shows at this moment."""
        shown = 0.0
        for begin, end, multiple in self._stretches():
            if until <= end:
                return shown + multiple * (self._of_day(until) - self._of_day(begin))
            shown += multiple * (self._of_day(end) - self._of_day(begin))
        raise AssertionError("the last stretch has no end")

    def moments(self, shown: Iterable[float]) -> Iterator[float]:
        """When the clock shows these, ascending: the latest moment of each."""
        stretches = self._stretches()
        begin, end, multiple = next(stretches)
        at_begin = 0.0
        for each in shown:
            while (of_day := self._wanted(each - at_begin, multiple, begin)) >= self._of_day(end):
                at_begin += multiple * (self._of_day(end) - self._of_day(begin))
                begin, end, multiple = next(stretches)
            yield self._when(of_day, begin, end)

    def _wanted(self, rest: float, multiple: float, begin: float) -> float:
        """What the clock of the day shows when that of this stretch has gone on by `rest`."""
        return self._of_day(begin) + max(0.0, rest) / multiple if multiple else math.inf

    def _stretches(self) -> Iterator[tuple[float, float, float]]:
        """Begin, end and multiple of each phase; the last one has no end."""
        at = 0
        for length, multiple in self._surges:
            yield at / _SECOND, (at + length) / _SECOND, multiple
            at += length
        yield at / _SECOND, math.inf, 1.0

    def _of_day(self, at: float) -> float:
        """The integral of the day's course, whose mean is 1, from a fixed moment until this one."""
        if not self._amplitude or at == math.inf:
            return at
        turn = 2 * math.pi / self._period
        return at + self._amplitude / turn * math.sin(turn * (at - self._peak))

    def _when(self, of_day: float, begin: float, end: float) -> float:
        """When the clock of the day shows this, within a stretch."""
        if not self._amplitude:
            return of_day
        reach = self._amplitude * self._period / (2 * math.pi)
        low, high = max(begin, of_day - reach), min(end, of_day + reach)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._of_day(middle) < of_day else (low, middle)
        return high
