"""The gaps between tokens, by column: a run may have ten million of them.

Rules: a gap runs from one token to the next, or, in a stream that died, from its last token to its death. A stream
that our own end of the run cut off keeps its last gap only if that was a stall already. A planned gap that is itself
a stall is the server's own pause and is subtracted. Each gap has the row of the token that it begins with; rows are
in the order of `Tokens`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.tokens import UNKNOWN, Bools, Ints, Tokens, narrow
from chaoskit.records.model import Request

STALL = 200_000_000  # ns; the Eloquent paper's threshold
SEVERE = 1_000_000_000
READING = 50_000_000  # ns that a reader takes for a token: 20 tokens/s
_AT_ONCE = 1_000_000  # rows that are worked on at a time


class Token(NamedTuple):
    """One token: `at` the kernel's stamp, `user` ours, `due` and `sent` the reference server's."""

    at: int
    user: int
    read: int
    due: int | None
    sent: int | None


class Gap(NamedTuple):
    """The time between two tokens, in ns; `after` is None when the stream ended instead.

    `excess` is its length without the server's own pause, `wait` how long a reader had nothing to read.
    """

    stream: int
    row: int
    before: Token
    after: Token | None
    end: int
    length: int
    excess: int
    wait: int

    @property
    def is_coalesced(self) -> bool:
        """Both tokens came with one read: this gap is none of the network's."""
        return self.after is not None and self.after.read == self.before.read

    @property
    def is_stall(self) -> bool:
        """Longer than the threshold, and not because the server wanted it so."""
        return self.excess > STALL


@dataclass(frozen=True, eq=False)
class Table:
    """What there is of each token's row: the gap that begins with it, where `is_gap`."""

    tokens: Tokens
    length: NDArray[np.int64]
    pause: Ints
    wait: NDArray[np.int64]
    is_coalesced: Bools
    is_gap: Bools


@dataclass(frozen=True, eq=False)
class Gaps(Sequence[Gap]):
    """Some of a table's gaps, in its order: by stream, and within a stream in time. `rows` ascend."""

    table: Table
    rows: Ints

    @property
    def stream(self) -> Ints:
        """The number of each one's stream."""
        return self.table.tokens.stream[self.rows]

    @property
    def begin(self) -> Ints:
        """The stamp of the token before, ns."""
        return self.table.tokens.at[self.rows]

    @property
    def length(self) -> NDArray[np.int64]:
        """In ns."""
        return self.table.length[self.rows]

    @property
    def excess(self) -> NDArray[np.int64]:
        """The length without the server's own pause, ns."""
        return self.table.length[self.rows] - self.table.pause[self.rows]

    @property
    def wait(self) -> NDArray[np.int64]:
        """How long a reader had nothing to read, ns."""
        return self.table.wait[self.rows]

    @property
    def is_coalesced(self) -> Bools:
        """Both tokens came with one read."""
        return self.table.is_coalesced[self.rows]

    @property
    def are_stalls(self) -> Bools:
        """Longer than the threshold, and not because the server wanted it so."""
        return self.excess > STALL

    def those(self, chosen: Bools) -> Gaps:
        """Some of these."""
        return Gaps(self.table, self.rows[chosen])

    def batches(self) -> Iterator[Gaps]:
        """These, some at a time."""
        for first in range(0, len(self.rows), _AT_ONCE):
            yield Gaps(self.table, self.rows[first : first + _AT_ONCE])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Gap:  # type: ignore[override]
        row = int(self.rows[index])
        tokens, length = self.table.tokens, int(self.table.length[row])
        stream, begin = int(tokens.stream[row]), int(tokens.at[row])
        is_last = row + 1 == len(tokens.at) or tokens.stream[row + 1] != stream
        return Gap(
            stream=stream,
            row=row,
            before=_token(tokens, row),
            after=None if is_last else _token(tokens, row + 1),
            end=begin + length,
            length=length,
            excess=length - int(self.table.pause[row]),
            wait=int(self.table.wait[row]),
        )


def _token(tokens: Tokens, row: int) -> Token:
    at, due, sent = int(tokens.at[row]), int(tokens.due_ago[row]), int(tokens.sent_ago[row])
    return Token(
        at=at,
        user=at + int(tokens.held[row]),
        read=int(tokens.read[row]),
        due=None if due == UNKNOWN else at - due,
        sent=None if sent == UNKNOWN else at - sent,
    )


class Sums:
    """Of gaps by stream, in the order of their numbers: whole numbers without a bound."""

    def __init__(self, gaps: Gaps) -> None:
        streams = gaps.stream
        self._starts = np.flatnonzero(np.diff(streams, prepend=-1))
        self.streams: list[int] = streams[self._starts].tolist()
        self.counts: list[int] = np.diff(self._starts, append=len(streams)).tolist()

    def of(self, column: Ints | Bools) -> list[int]:
        """The sum of each stream's part of a column."""
        if not len(column):
            return []
        wide = column.astype(np.int64)
        largest = int(np.abs(wide).max()) * max(self.counts)
        return cast("list[int]", np.add.reduceat(wide if largest < 2**63 else wide.astype(object), self._starts).tolist())

    def largest(self, column: Ints) -> list[int]:
        """The largest number of each stream's part of a column."""
        return cast("list[int]", np.maximum.reduceat(column, self._starts).tolist()) if len(column) else []


def table(requests: Sequence[Request], tokens: Tokens, bounds: Sequence[int]) -> Table:
    """The gaps of these requests' tokens: those of the n-th are from row `bounds[n]` to row `bounds[n + 1]`."""
    count = len(tokens.at)
    made = Table(
        tokens=tokens,
        length=np.empty(count, dtype=np.int64),
        pause=np.empty(count, dtype=tokens.due_ago.dtype),
        wait=np.empty(count, dtype=np.int64),
        is_coalesced=np.empty(count, dtype=np.bool_),
        is_gap=np.empty(count, dtype=np.bool_),
    )
    having = [(request, first) for request, (first, after) in zip(requests, pairwise(bounds), strict=True) if after > first]
    for batch in _batches(having, count):
        _fill(made, *batch)
    return made


def _batches(having: Sequence[tuple[Request, int]], count: int) -> Iterator[tuple[list[Request], list[int], int]]:
    """Whole streams, about a million rows at a time: requests, the first row of each, the row after the last."""
    requests: list[Request] = []
    firsts: list[int] = []
    for request, first in having:
        if firsts and first - firsts[0] >= _AT_ONCE:
            yield requests, firsts, first
            requests, firsts = [], []
        requests.append(request)
        firsts.append(first)
    if firsts:
        yield requests, firsts, count


def _fill(made: Table, requests: Sequence[Request], begins: Sequence[int], until: int) -> None:
    """These streams' part of the table. Row numbers count from the first of them here."""
    here = slice(begins[0], until)
    tokens = Tokens(*(column[here] for column in made.tokens))
    at, count = tokens.at, until - begins[0]
    firsts = np.array(begins) - begins[0]
    sizes = np.diff(firsts, append=count)
    lasts = firsts + sizes - 1
    end = np.append(at[1:], 0)
    end[lasts] = [request.ended for request in requests]
    end = np.maximum(end, at)
    made.length[here] = end - at
    made.pause[here] = _pauses(tokens, lasts)
    made.wait[here] = _waits(at, end, firsts, sizes)
    made.is_coalesced[here] = np.append(tokens.read[1:] == tokens.read[:-1], False)
    made.is_coalesced[here][lasts] = False
    is_gap = np.ones(count, dtype=np.bool_)
    is_gap[lasts] = [
        request.completion != "complete" and (request.completion != "cancelled" or length > STALL)
        for request, length in zip(requests, made.length[here][lasts].tolist(), strict=True)
    ]
    made.is_gap[here] = is_gap


def _pauses(tokens: Tokens, lasts: Ints) -> NDArray[np.int64]:
    """What of the time to the next token the server had planned as a pause, ns."""
    due, is_known = tokens.at - tokens.due_ago, tokens.due_ago != UNKNOWN
    planned = np.append(due[1:] - due[:-1], 0)
    is_pause = (planned > STALL) & is_known & np.append(is_known[1:], False)
    is_pause[lasts] = False
    return np.where(is_pause, planned, 0)


def _waits(at: Ints, end: Ints, firsts: Ints, sizes: Ints) -> NDArray[np.int64]:
    """How long a reader had nothing to read.

    A reader is free for the k-th gap's end at f(k), with f(0) = the first token + READING and
    f(k + 1) = max(f(k), end(k)) + READING; f(k) - k READING is a running maximum.
    """
    place = np.arange(len(at)) - np.repeat(firsts, sizes)
    early = end - place * READING
    latest = np.append(np.int64(0), early[:-1])
    latest[firsts] = at[firsts] + READING
    for first, after in pairwise([*firsts.tolist(), len(at)]):
        np.maximum.accumulate(latest[first:after], out=latest[first:after])
    return np.maximum(0, early - latest)
