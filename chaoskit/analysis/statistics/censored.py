"""Computes percentiles and means of times, some of which are only known to be longer than a wait.

| a time that                                  | its value                 | the least it is  | the most it is   |
|----------------------------------------------|---------------------------|------------------|------------------|
| was reached                                  | itself                    | itself           | itself           |
| never was, as its stream died                | never                     | never            | never            |
| this client stopped waiting for              | never                     | what was waited  | never            |
| the end of the run cut off                   | like those that are       | what was waited  | never            |
|                                              | longer than what was      |                  |                  |
|                                              | waited                    |                  |                  |
| is of a gap in which its stream died         | what was waited           | what was waited  | never            |

So no percentile improves because streams died or were cut off, and an interval from the least to the most holds the
truth whatever the censored times are. The weight of what the end of the run cut off moves to the longer ones: Kaplan
and Meier, JASA 53 (1958). Percentiles are of nearest rank.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

from chaoskit.analysis.statistics.quantiles import MS, PERCENTS, is_too_few, nearest_rank, rank_of
from chaoskit.analysis.streams.latencies import ALL_REACHED, Unreached
from chaoskit.analysis.summaries import LatencySummary

_LITTLE = 1e-12  # of a share, for rounding errors


class CensoredTimes:
    """The times of streams, ns: (stream, time), infinite where never; and what is known of those without an end."""

    def __init__(self, pairs: Iterable[tuple[int, float]], unreached: Unreached = ALL_REACHED) -> None:
        pairs = list(pairs)
        self._unreached = _resolved(unreached, max((value for _, value in pairs if value < math.inf), default=0.0))
        pairs += [(stream, math.inf) for stream in unreached.cut if stream not in self._unreached.cut]
        self._pairs = pairs
        self._ordered = sorted((value, stream in unreached.unfinished) for stream, value in pairs)

    def __len__(self) -> int:
        return len(self._ordered) + self.cut

    @cached_property
    def values(self) -> list[float]:
        """Sorted, without those that the end of the run cut off."""
        return [value for value, _ in self._ordered]

    @property
    def never(self) -> int:
        """How many were never reached."""
        return len(self.values) - bisect.bisect_left(self.values, math.inf)

    @property
    def cut(self) -> int:
        """How many the end of the run cut off after less than others took."""
        return len(self._unreached.cut)

    @property
    def dead(self) -> int:
        """How many were never reached, however long one waits."""
        return self.never - len(self._unreached.given_up)

    @cached_property
    def least(self) -> list[float]:
        """Each is at least so long; sorted."""
        reached = self.values[: len(self.values) - self.never]
        waited = [*self._unreached.given_up.values(), *self._unreached.cut.values()]
        return [*sorted([*reached, *waited]), *[math.inf] * self.dead]

    @cached_property
    def most(self) -> list[float]:
        """Each is at most so long; sorted."""
        seen = sorted(math.inf if is_unfinished else value for value, is_unfinished in self._ordered)
        return seen + [math.inf] * self.cut

    @property
    def bounds(self) -> Iterator[tuple[int, float, float]]:
        """The stream of each, the least that its time is, and the most."""
        for stream, value in self._pairs:
            is_never, is_unfinished = value == math.inf, stream in self._unreached.unfinished
            least = self._unreached.given_up.get(stream, value) if is_never else value
            yield stream, least, math.inf if is_unfinished else value
        for stream, waited in self._unreached.cut.items():
            yield stream, waited, math.inf

    @cached_property
    def filled(self) -> list[float]:
        """With a value for each that the end of the run cut off: the mean of the longer ones. Sorted."""
        found = list(self.values)
        for waited in sorted(self._unreached.cut.values(), reverse=True):
            longer = found[bisect.bisect_left(found, waited) :]
            bisect.insort(found, math.fsum(longer) / len(longer))
        return found

    def percentile(self, percent: int) -> float:
        """The value of at least one."""
        if not self.cut:
            return nearest_rank(self.values, percent)
        cut = ((waited, True) for waited in self._unreached.cut.values())
        events = sorted([*((value, False) for value in self.values), *cut])
        still, left = 1.0, len(events)
        for value, is_cut in events:
            still *= 1.0 if is_cut else (left - 1) / left
            left -= 1
            if still <= 1 - percent / 100 + _LITTLE:
                return value
        return math.inf

    def at_least(self, statistic: str) -> float | None:
        """What a statistic is longer than, where no more is known of it: of `p95`, `max`, `mean`; else None."""
        if statistic == "mean":
            is_known = self.dead or not (self._unreached.given_up or self._unreached.unfinished)
            return None if is_known else math.fsum(self.least) / len(self)
        percent = 100 if statistic == "max" else int(statistic.removeprefix("p"))
        rank = rank_of(percent, len(self))
        if self.percentile(percent) == math.inf:
            return self.least[rank - 1] if self.least[rank - 1] < math.inf else None
        is_unfinished = not self.cut and self._ordered[rank - 1][1]
        return self.values[rank - 1] if is_unfinished else None

    def summary(self, missing: str) -> LatencySummary:
        """All statistics; `missing` is the reason where there is no time."""
        if not self.values:
            return LatencySummary(count=0, missing=missing)
        in_ms = {percent: self.percentile(percent) / MS for percent in PERCENTS}
        names = (*(f"p{percent}" for percent in PERCENTS), "max", "mean")
        longer = {f"{name}_ms": at_least / MS for name in names if (at_least := self.at_least(name)) is not None}
        return LatencySummary(
            count=len(self),
            never=self.never,
            cut=self.cut,
            p50_ms=in_ms[50],
            p90_ms=in_ms[90],
            p95_ms=in_ms[95],
            p99_ms=in_ms[99],
            max_ms=self.values[-1] / MS,
            mean_ms=math.fsum(self.filled) / len(self) / MS,
            at_least=longer,
            reported_as_max=tuple(f"p{percent}" for percent in PERCENTS if is_too_few(percent, len(self))),
        )


def _resolved(unreached: Unreached, longest: float) -> Unreached:
    """Those that were cut off after more than the longest of the others are known to be longer than everything."""
    cut = {stream: waited for stream, waited in unreached.cut.items() if waited <= longest}
    outlasted = {stream: waited for stream, waited in unreached.cut.items() if stream not in cut}
    return replace(unreached, given_up={**unreached.given_up, **outlasted}, cut=cut) if outlasted else unreached
