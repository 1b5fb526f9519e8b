"""Computes the gaps between tokens by column: a run may have ten million of them.

Rules: a gap runs from one token to the next, or, in an interrupted stream, from its last token to its end. A stream
that the end of the run cut off keeps its last gap only if that was a stall already. Each gap has the row of the token
that it begins with; rows are in the order of `Tokens`.

What the server planned is neither a stall nor waiting: a planned gap of more than half the threshold is subtracted, so
that a little lateness never makes a stall, and a reader takes at least the planned time for a token. Another's server
stamps nothing, so nothing is known to be planned, and both are of the gaps as received. So they are of an answer that
an engine computed, as its stamps tell: what it plans follows from its load, and its users wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.streams.bursts import burst_ends
from chaoskit.analysis.streams.columns import UNKNOWN, Bools, Ints, Tokens, first_sent, narrow_dtype
from chaoskit.analysis.streams.token_counts import TokenCounts, count_tokens
from chaoskit.records.model import Request
from chaoskit.spec.workload import Workload

SEVERE = 1_000_000_000
_NS_PER_MEGASECOND = 10**15
_LONGEST_READING = 2**42  # ns, more than an hour: a million of them are no overflow
_BATCH = 1_000_000  # rows that are processed at a time


@dataclass(frozen=True)
class Reader:
    """What a reader of a stream notices: a gap longer than `stall`, and a token later than `pace` after the one before.

    Both in ns. The defaults are the Eloquent paper's threshold, and 20 tokens/s.
    """

    stall: int = 200_000_000
    pace: int = 50_000_000

    @classmethod
    def of(cls, workload: Workload | None) -> Reader:
        """As the workload says; the defaults without one."""
        if workload is None:
            return cls()
        pace = max(1, _NS_PER_MEGASECOND // workload.reading_rate)
        return cls(workload.stall_threshold, pace)


class Token(NamedTuple):
    """One token: `at` is the kernel's stamp, `user` the probe's, `due` and `sent` the reference server's.

    Nothing was there at `looked`, when the probe's event loop looked for the last time before. Its read had `size`
    bytes, at most 65,535.
    """

    at: int
    user: int
    looked: int
    due: int | None
    sent: int | None
    size: int


class Gap(NamedTuple):
    """The time between two tokens, in ns; `is_last` when the stream ended instead of the second.

    `excess` is its length without the server's own pause, `wait` how long a reader had nothing to read. Both tokens of
    a coalesced gap arrived in one read: the network did not cause it.
    """

    stream: int
    row: int
    begin: int
    end: int
    length: int
    excess: int
    wait: int
    is_coalesced: bool
    is_stall: bool
    is_last: bool


@dataclass(frozen=True, eq=False)
class GapTable:
    """A row for each token: the gap that begins with it, where `is_gap`.

    Most gaps are neither pauses nor stalls, so only their rows are kept for these: `pauses` with the pauses' lengths in
    ns, `stalls` with the row of the last token that came together with the one that ended it, and `ends` with the
    tokens of all these rows and those that ended a stall. `planned_pace` has the mean planned time for a token of each
    stream, ns; `computed` are the streams that an engine computed; `first_sent` is when the server sent the first
    token.
    """

    reader: Reader
    token_counts: TokenCounts
    planned_pace: Mapping[int, float]
    computed: Set[int]
    first_sent: Mapping[int, int]
    stream: Ints
    at: NDArray[np.int64]
    size: Ints
    length: NDArray[np.int64]
    wait: NDArray[np.int64]
    is_coalesced: Bools
    is_gap: Bools
    is_stall: Bools
    pauses: tuple[Ints, Ints]
    stalls: tuple[Ints, Ints]
    ends: tuple[Ints, Tokens]

    def is_last(self, row: int) -> bool:
        """Whether this row's token is the last of its stream."""
        return row + 1 == len(self.stream) or bool(self.stream[row + 1] != self.stream[row])

    def rows_of(self, stream: int) -> tuple[int, int]:
        """The first row of a stream, and the one after its last."""
        first, after = (int(np.searchsorted(self.stream, stream, side=side)) for side in ("left", "right"))
        return first, after

    def tokens_around(self, gap: Gap) -> tuple[Token, Token | None]:
        """The tokens before and after a stall."""
        rows, tokens = self.ends
        place = int(np.searchsorted(rows, gap.row))
        return _token(tokens, place), None if gap.is_last else _token(tokens, place + 1)

    def burst_after(self, gap: Gap) -> tuple[int, Token]:
        """How many tokens came together at the end of a stall that a token ended, and the last of them."""
        stalls, lasts = self.stalls
        last = int(lasts[np.searchsorted(stalls, gap.row)])
        rows, tokens = self.ends
        return last - gap.row, _token(tokens, int(np.searchsorted(rows, last)))


def _token(tokens: Tokens, row: int) -> Token:
    at, due, sent = int(tokens.at[row]), int(tokens.due_ago[row]), int(tokens.sent_ago[row])
    return Token(
        at=at,
        user=at + int(tokens.read_delay[row]),
        looked=at - int(tokens.looked_ago[row]),
        due=None if due == UNKNOWN else at - due,
        sent=None if sent == UNKNOWN else at - sent,
        size=int(tokens.size[row]),
    )


@dataclass(frozen=True, eq=False)
class Gaps(Sequence[Gap]):
    """Some of a table's gaps, in its order: by stream, and within a stream in time. `rows` ascend."""

    table: GapTable
    rows: Ints

    @property
    def stream(self) -> Ints:
        """The stream's number of each gap."""
        return self.table.stream[self.rows]

    @property
    def begin(self) -> NDArray[np.int64]:
        """The stamp of the token before each gap, ns."""
        return self.table.at[self.rows]

    @property
    def length(self) -> NDArray[np.int64]:
        """The length of each gap, ns."""
        return self.table.length[self.rows]

    @property
    def excess(self) -> NDArray[np.int64]:
        """The length of each gap without the server's own pause, ns."""
        rows, pauses = self.table.pauses
        excess = self.length
        _, here, there = np.intersect1d(self.rows, rows, assume_unique=True, return_indices=True)
        excess[here] -= pauses[there]
        return excess

    @property
    def threshold(self) -> int:
        """The length in ns above which a gap is a stall."""
        return self.table.reader.stall

    @property
    def wait(self) -> NDArray[np.int64]:
        """How long a reader had nothing to read, ns."""
        return self.table.wait[self.rows]

    @property
    def are_coalesced(self) -> Bools:
        """Whether both tokens arrived in one read."""
        return self.table.is_coalesced[self.rows]

    @property
    def are_stalls(self) -> Bools:
        """Longer than the threshold, the server's own pause subtracted."""
        return self.table.is_stall[self.rows]

    @property
    def are_unfinished(self) -> Bools:
        """Whether the stream ended in it: the next token would have come later."""
        following = np.minimum(self.rows + 1, len(self.table.stream) - 1)
        is_end: Bools = (self.table.stream[following] != self.stream) | (following == self.rows)
        return is_end

    @property
    def stalls(self) -> Gaps:
        """The stalls among these gaps."""
        return self.select(self.are_stalls)

    def select(self, chosen: Bools) -> Gaps:
        """The chosen ones of these gaps."""
        return Gaps(self.table, self.rows[chosen])

    def batches(self) -> Iterator[Gaps]:
        """These gaps in batches."""
        for first in range(0, len(self.rows), _BATCH):
            yield Gaps(self.table, self.rows[first : first + _BATCH])

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Gap]:
        table = self.table
        times = (self.begin, self.begin + self.length, self.length, self.excess, self.wait)
        columns = (self.stream, self.rows, *times, self.are_coalesced, self.are_stalls)
        for row in zip(*(column.tolist() for column in columns), strict=True):
            yield Gap._make((*row, table.is_last(row[1])))

    def __getitem__(self, index: int) -> Gap:  # type: ignore[override]
        place = range(len(self))[index]
        return next(iter(Gaps(self.table, self.rows[place : place + 1])))


def gap_table(requests: Sequence[Request], tokens: Tokens, bounds: Sequence[int], reader: Reader) -> GapTable:
    """The gaps of these requests' tokens: those of the n-th are from row `bounds[n]` to row `bounds[n + 1]`."""
    count = len(tokens.at)
    counts = count_tokens(requests)
    builder = _TableBuilder(tokens, reader, counts)
    pairs = zip(requests, pairwise(bounds), strict=True)
    for batch in _batches([(request, first) for request, (first, after) in pairs if after > first], count):
        builder.fill(*batch)
    stalls = np.flatnonzero(builder.is_stall)
    lasts = burst_ends(stalls, tokens.at, bounds)
    ends = np.union1d(np.union1d(stalls, np.minimum(stalls + 1, count - 1)), lasts)
    return GapTable(
        reader=reader,
        token_counts=counts,
        planned_pace=builder.planned_pace,
        computed=frozenset(request.stream for request in requests if request.computed is not None),
        first_sent=first_sent(tokens, bounds),
        stream=tokens.stream,
        at=tokens.at.astype(np.int64, copy=False),
        size=tokens.size,
        length=builder.length,
        wait=builder.wait,
        is_coalesced=builder.is_coalesced,
        is_gap=builder.is_gap,
        is_stall=builder.is_stall,
        pauses=builder.pauses,
        stalls=(stalls, lasts),
        ends=(ends, Tokens(*(column[ends] for column in tokens))),
    )


def _batches(with_tokens: Sequence[tuple[Request, int]], count: int) -> Iterator[tuple[list[Request], list[int], int]]:
    """Whole streams, about a million rows at a time: requests, the first row of each, the row after the last."""
    requests: list[Request] = []
    firsts: list[int] = []
    for request, first in with_tokens:
        if firsts and first - firsts[0] >= _BATCH:
            yield requests, firsts, first
            requests, firsts = [], []
        requests.append(request)
        firsts.append(first)
    if firsts:
        yield requests, firsts, count


class _TableBuilder:
    """Fills a table batch by batch."""

    def __init__(self, tokens: Tokens, reader: Reader, counts: TokenCounts) -> None:
        count = len(tokens.at)
        self.planned_pace: dict[int, float] = {}
        self._reader = reader
        self._counts = counts
        self.tokens = tokens
        self.length = np.empty(count, dtype=np.int64)
        self.wait = np.empty(count, dtype=np.int64)
        self.is_coalesced = np.empty(count, dtype=np.bool_)
        self.is_gap = np.empty(count, dtype=np.bool_)
        self.is_stall = np.empty(count, dtype=np.bool_)
        self._pauses: list[tuple[Ints, Ints]] = []

    @property
    def pauses(self) -> tuple[Ints, Ints]:
        """The rows of all pauses, and their lengths."""
        nothing = np.empty(0, dtype=np.int64)
        rows, lengths = zip((nothing, nothing), *self._pauses, strict=True)
        return np.concatenate(rows), narrow_dtype(np.concatenate(lengths))

    def fill(self, requests: Sequence[Request], begins: Sequence[int], until: int) -> None:
        """Fill the rows up to `until` with the streams that begin at `begins`."""
        here = slice(begins[0], until)
        tokens = Tokens(*(column[here] for column in self.tokens))
        at, firsts = tokens.at, np.array(begins) - begins[0]
        sizes = np.diff(firsts, append=len(at))
        lasts = firsts + sizes - 1
        end = np.append(at[1:], 0)
        end[lasts] = [request.ended for request in requests]
        end = np.maximum(end, at)
        length, planned = end - at, _planned(tokens, lasts)
        self._note_planned_pace(requests, planned, firsts, sizes)
        planned[np.repeat([request.computed is not None for request in requests], sizes)] = 0
        pause = np.where(planned > self._reader.stall / 2, planned, 0)
        is_coalesced = np.append(tokens.read[1:] == tokens.read[:-1], False)
        is_coalesced[lasts] = False
        is_gap = np.ones(len(at), dtype=np.bool_)
        is_gap[lasts] = [self._has_last_gap(*pair) for pair in zip(requests, length[lasts].tolist(), strict=True)]
        paces = [round(self._reader.pace * self._counts.of(request.stream, 1)) for request in requests]
        reading = np.maximum(np.repeat(np.array(paces, dtype=np.int64), sizes), planned)
        self.length[here], self.wait[here] = length, _waits(at, end, reading, firsts)
        self.is_coalesced[here], self.is_gap[here] = is_coalesced, is_gap
        self.is_stall[here] = is_gap & (length - pause > self._reader.stall)
        rows = np.flatnonzero(pause)
        self._pauses.append((rows + begins[0], pause[rows]))

    def _has_last_gap(self, request: Request, silence: int) -> bool:
        """Whether the time from a stream's last token to its end counts as a gap."""
        match request.completion:
            case "complete" | "client_error":
                return False
            case "cancelled":
                return silence > self._reader.stall
            case _:
                return True

    def _note_planned_pace(self, requests: Sequence[Request], planned: Ints, firsts: Ints, sizes: Ints) -> None:
        sums, counts = np.add.reduceat(planned, firsts), sizes - 1
        for request, total, count in zip(requests, sums.tolist(), counts.tolist(), strict=True):
            if total > 0 and count:
                self.planned_pace[request.stream] = total / self._counts.of(request.stream, count)


def _planned(tokens: Tokens, lasts: Ints) -> NDArray[np.int64]:
    """The time to the next token that the server planned, ns; 0 where it is unknown."""
    due, is_known = tokens.at - tokens.due_ago, tokens.due_ago != UNKNOWN
    planned = np.append(due[1:] - due[:-1], 0)
    is_planned = (planned > 0) & is_known & np.append(is_known[1:], False)
    is_planned[lasts] = False
    return np.where(is_planned, planned, 0)


def _waits(at: Ints, end: Ints, reading: Ints, firsts: Ints) -> Ints:
    """How long a reader, who needs the time `reading` for each token, had nothing to read.

    A reader is free for the k-th gap's end at f(k), with f(0) = the first token + reading(0) and
    f(k + 1) = max(f(k), end(k)) + reading(k + 1). With s(k) the sum of reading up to k, f(k) - s(k) is a running
    maximum.
    """
    total = np.cumsum(np.minimum(reading, _LONGEST_READING))
    sizes = np.diff(firsts, append=len(at))
    total -= np.repeat(total[firsts] - np.minimum(reading[firsts], _LONGEST_READING), sizes)
    early = end - total
    latest = np.append(np.int64(0), early[:-1])
    latest[firsts] = at[firsts]
    for first, after in pairwise([*firsts.tolist(), len(at)]):
        np.maximum.accumulate(latest[first:after], out=latest[first:after])
    waits: Ints = np.clip(early - latest, 0, end - at)
    return waits
