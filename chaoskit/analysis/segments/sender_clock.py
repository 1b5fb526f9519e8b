"""Whether the far end's TCP timestamps tell when its kernel sent each segment, and in which ticks.

A sender puts its own clock, TSval, into each segment, when it sends it and again when it sends it again (RFC 7323,
section 3). Linux counts milliseconds, other systems 4 or 10 ms; only differences mean anything.

| not believed                     | because                                                                  |
|----------------------------------|--------------------------------------------------------------------------|
| no timestamps                    | the sender has none, or something in between strips them                 |
| few, or all within a moment      | the tick cannot be told                                                  |
| ticks of another length          | they are no clock: random, or counted in something else                  |
| a newer echo with an older stamp | the clock jumps, or several senders answer                               |
| far from a straight line         | the clock was set, or something in between rewrites it                   |

A sender echoes our newest timestamp that it has, so a newer echo was sent later, in whichever order packets
arrive. Far from a straight line is what neither a path that became slower explains, nor a wait since the echo.
A connection that tells no tick, because a queue delays its packets by more than they are apart, has that of the others
to the same server.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from chaoskit.analysis.segments.columns import MS, Bools, Column, no_column, unwrapped

_TICKS = (1_000, MS, 4 * MS, 10 * MS)  # ns
_TOLERANCE, _MOST, _SURE = 0.33, 0.4, 0.7  # of a tick's length, for delays vary; of the pairs of segments
_FEWEST, _SHORTEST = 6, 100 * MS
_STRAIGHT = 2_000 * MS  # ns by which the path's least delay may change during a connection
_WINDOWS = 8
_LONG, _LEAST_SKEW, _MOST_SKEW = 10_000 * MS, 20e-6, 2e-3


@dataclass(frozen=True, eq=False)
class SenderClock:
    """`sent` has when each segment was sent, in ns of this machine's clock, but for a constant: the path's least delay.

    Empty where the stamps cannot be believed, and `doubt` says why. `tick` in ns; `skew`: how much faster it runs.
    """

    tick: int = 0
    skew: float = 0.0
    sent: Column = field(default_factory=no_column)
    doubt: str = ""

    @property
    def is_believed(self) -> bool:
        """Whether there is such a clock."""
        return not self.doubt


def sender_clock(at: Column, tsval: Column, tsecr: Column, known: int | None = None) -> SenderClock:
    """The clock by segments that arrived `at` these times, with timestamps `tsval` (-1: none) and echoes `tsecr`.

    `known` is the tick of other connections to the same server, ns.
    """
    has = tsval >= 0
    if len(at) == 0 or has.sum() < 0.9 * len(at):
        return SenderClock(doubt="the server's segments carry no timestamps")
    if len(at) < _FEWEST or int(at[-1] - at[0]) < _SHORTEST:
        return SenderClock(doubt="the connection is too short to tell the server's clock")
    stamps = _filled(tsval, has)
    if not (stamps != stamps[0]).any():
        return SenderClock(doubt="the server's timestamps do not advance")
    echoes = _filled(tsecr, has)
    tick, share = _tick(echoes * MS, stamps)
    if share < _SURE:
        tick = known or _tick(at, stamps)[0]
    if tick is None:
        return SenderClock(doubt="the server's timestamps are no clock that is known")
    if _went_back(stamps, echoes) > max(2, len(at) // 50):
        return SenderClock(doubt="the server's timestamps jump")
    delay = at - at[0] - (stamps - stamps[0]) * tick
    least = _least(delay)
    since_echo = (stamps - stamps[0]) * tick - (echoes - echoes[0]) * MS
    skew = _skew(at, least)
    if abs(skew) > _MOST_SKEW or min(np.ptp(least), np.ptp(_least(since_echo))) > _STRAIGHT:
        return SenderClock(doubt="the server's timestamps jump")
    sent = at[0] + ((stamps - stamps[0]) * tick * (1 + skew)).astype(np.int64)
    return SenderClock(tick, skew, sent + int((at - sent).min()))


def sure_tick(tsval: Column, tsecr: Column) -> int | None:
    """The length of a tick, ns, where a connection's echoes tell it beyond doubt."""
    if len(tsval) < _FEWEST or not (tsval >= 0).all():
        return None
    tick, share = _tick(unwrapped(tsecr, 32) * MS, unwrapped(tsval, 32))
    return tick if share >= _SURE else None


def _tick(at: Column, stamps: Column) -> tuple[int | None, float]:
    """The length of a tick by which most pairs of segments, near or far apart, were sent as far apart as `at` tells.

    And what share of them was. They were `at` these times here, or what they echo was: a queue on their way stretches
    the first, and not the second.
    """
    best, best_share = None, _MOST
    for apart in {1, 2, 5, len(at) // 4, len(at) // 2} - {0}:
        spans, ticks = at[apart:] - at[:-apart], stamps[apart:] - stamps[:-apart]
        lengths = spans[ticks > 0] / ticks[ticks > 0]
        for tick in _TICKS:
            share = float((np.abs(lengths / tick - 1) < _TOLERANCE).sum()) / max(1, len(spans))
            if share > best_share:
                best, best_share = tick, share
    return best, best_share


def _went_back(stamps: Column, echoes: Column) -> int:
    """How many segments have an older stamp than one that was sent before, as an older echo tells."""
    order = np.argsort(echoes, kind="stable")
    ordered, newest = echoes[order], np.maximum.accumulate(stamps[order])
    earlier = np.searchsorted(ordered, ordered, side="left") - 1  # the last one with an older echo
    return int(((earlier >= 0) & (stamps[order] < newest[np.maximum(earlier, 0)] - 1)).sum())


def _least(values: Column) -> Column:
    """The least one in each of a few windows."""
    return np.array([part.min() for part in np.array_split(values, min(_WINDOWS, len(values)))])


def _filled(tsval: Column, has: Bools) -> Column:
    """The timestamps unwrapped; where there is none, that of the segment before."""
    rows = np.maximum.accumulate(np.where(has, np.arange(len(has)), 0))
    first = int(np.argmax(has))
    filled = tsval[np.where(has[rows], rows, first)]
    return unwrapped(filled, 32)


def _skew(at: Column, least: Column) -> float:
    """By the least delays of a long connection's windows: how they grow."""
    span = int(at[-1] - at[0])
    if span < _LONG or len(least) < _WINDOWS:
        return 0.0
    steps = np.diff(least.astype(np.float64)) / (span / len(least))
    skew = float(np.median(steps))
    is_steady = float(np.median(np.abs(steps - skew))) < abs(skew)
    return skew if is_steady and abs(skew) > _LEAST_SKEW else 0.0
