"""Describes the bursts of streams whose events arrive several at a time.

A burst is what arrived without a gap of more than 10 ms. The first and the last of a stream are left out: they may be
cut short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from chaoskit.analysis.streams.columns import UNKNOWN, Ints, Tokens
from chaoskit.records.model import Request

_WITHIN = 10_000_000  # ns
FEWEST_EVENTS, FEWEST_BURSTS = 3, 4
"""Of a burst on average, and of a stream."""
_ALIKE = 0.05  # of the median


class Bursts(NamedTuple):
    """The bursts of a stream: medians of events, bytes and the time from one to the next in ns, and how many are alike.

    `same_size`, `same_interval`: the share that is within 5 % of the median. `sent_apart`: the median time in ns
    between the server's sending the first and the last event of a burst; None where it stamps nothing.
    """

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
        if FEWEST_BURSTS <= number <= (after - first) / FEWEST_EVENTS:
            found[request.stream] = _bursts(Tokens(*(column[first:after] for column in tokens)))
    return found


def _bursts(tokens: Tokens) -> Bursts:
    """The bursts of one stream, of which there are three or more."""
    at = tokens.at
    starts = np.flatnonzero(np.append(True, np.diff(at) > _WITHIN))
    ends = np.append(starts[1:], len(at)) - 1
    is_read = np.append(True, tokens.read[1:] != tokens.read[:-1])
    sizes = np.add.reduceat(np.where(is_read, tokens.size, 0).astype(np.int64), starts)[1:-1]
    intervals = np.diff(at[starts])[1:]
    is_stamped = bool((tokens.sent_ago != UNKNOWN).all())
    sent = at - tokens.sent_ago
    return Bursts(
        events=float(np.median((ends - starts + 1)[1:-1])),
        bytes=float(np.median(sizes)),
        interval=float(np.median(intervals)),
        same_size=_share_alike(sizes),
        same_interval=_share_alike(intervals),
        sent_apart=float(np.median((sent[ends] - sent[starts])[1:-1])) if is_stamped else None,
    )


def _share_alike(values: Ints) -> float:
    """The share of these that is near their median."""
    middle = np.median(values)
    return float(np.mean(np.abs(values - middle) <= _ALIKE * middle))
