"""Describes the bursts of streams whose events arrive several at a time.

A burst is what arrived without a gap of more than 10 ms. The first and the last of a stream are left out: they may be
cut short. A stream of less than four is described as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.streams.columns import UNKNOWN, Ints, Tokens
from chaoskit.records.model import Request

_WITHIN = 10_000_000  # ns
FEWEST_EVENTS, FEWEST_BURSTS = 3, 4
"""Of a burst on average, and of a stream whose bursts are told apart."""
_ALIKE = 0.05  # of the median


class Bursts(NamedTuple):
    """The bursts of a stream: medians of events, bytes and the time from one to the next in ns, and how many are alike.

    `is_whole`: there are too few to tell them apart, and this is of all together. `same_size`, `same_interval`: the
    share that is within 5 % of the median. `sent_apart`: the median time in ns between the server's sending the
    first and the last event of a burst; None where it stamps nothing.
    """

    is_whole: bool
    events: float
    bytes: float
    interval: float
    same_size: float
    same_interval: float
    sent_apart: float | None


def find_bursts(requests: Sequence[Request], tokens: Tokens, bounds: Sequence[int]) -> Mapping[int, Bursts]:
    """The bursts by stream, of those that have enough; the rows of the n-th are from `bounds[n]` to `bounds[n + 1]`."""
    if not len(tokens.at):
        return {}
    is_start = np.append(True, np.diff(tokens.at) > _WITHIN)
    is_start[[first for first, after in pairwise(bounds) if after > first]] = True
    counts = np.append(0, np.cumsum(is_start))
    found = {}
    for request, (first, after) in zip(requests, pairwise(bounds), strict=True):
        number = int(counts[after] - counts[first])
        if max(number, FEWEST_BURSTS) <= (after - first) / FEWEST_EVENTS:
            own = Tokens(*(column[first:after] for column in tokens))
            found[request.stream] = _bursts(own) if number >= FEWEST_BURSTS else _one_burst(own)
    return found


def burst_ends(stalls: Ints, at: Ints, bounds: Sequence[int]) -> NDArray[np.int64]:
    """The last row of what came together at the end of each stall; the stall's own row where its stream ended."""
    afters = np.asarray(bounds)[np.searchsorted(bounds, stalls, side="right")]
    found = [
        row + int(np.searchsorted(at[row + 1 : after], at[row + 1] + _WITHIN, side="right")) if row + 1 < after else row
        for row, after in zip(stalls.tolist(), afters.tolist(), strict=True)
    ]
    return np.array(found, dtype=np.int64)


def _bursts(tokens: Tokens) -> Bursts:
    """The bursts of one stream."""
    at = tokens.at
    starts = np.flatnonzero(np.append(True, np.diff(at) > _WITHIN))
    ends = np.append(starts[1:], len(at)) - 1
    is_read = np.append(True, tokens.read[1:] != tokens.read[:-1])
    sizes = np.add.reduceat(np.where(is_read, tokens.size, 0).astype(np.int64), starts)[1:-1]
    intervals = np.diff(at[starts])[1:]
    sent = _sent(tokens)
    return Bursts(
        is_whole=False,
        events=float(np.median((ends - starts + 1)[1:-1])),
        bytes=float(np.median(sizes)),
        interval=float(np.median(intervals)),
        same_size=_share_alike(sizes),
        same_interval=_share_alike(intervals),
        sent_apart=None if sent is None else float(np.median((sent[ends] - sent[starts])[1:-1])),
    )


def _one_burst(tokens: Tokens) -> Bursts:
    at, sent = tokens.at, _sent(tokens)
    is_read = np.append(True, tokens.read[1:] != tokens.read[:-1])
    return Bursts(
        is_whole=True,
        events=len(at),
        bytes=float(tokens.size[is_read].sum(dtype=np.int64)),
        interval=float(at[-1] - at[0]),
        same_size=0.0,
        same_interval=0.0,
        sent_apart=None if sent is None else float(sent[-1] - sent[0]),
    )


def _sent(tokens: Tokens) -> Ints | None:
    """When the server sent each; None when it stamps nothing."""
    return tokens.at - tokens.sent_ago if (tokens.sent_ago != UNKNOWN).all() else None


def _share_alike(values: Ints) -> float:
    """The share of these that is near their median."""
    middle = np.median(values)
    return float(np.mean(np.abs(values - middle) <= _ALIKE * middle))
