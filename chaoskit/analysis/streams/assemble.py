"""Assembles streams from their requests, tokens and signs of life, and says how each one ended.

Rules: a token is an event with content or reasoning, stamped with its read; `gaps` has the times between tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np

from chaoskit.analysis.streams.bursts import Bursts, find_bursts
from chaoskit.analysis.streams.columns import Ints, SignsOfLife, Tokens
from chaoskit.analysis.streams.gaps import Gaps, GapTable, Reader, gap_table
from chaoskit.analysis.streams.stream_sums import group_starts
from chaoskit.records.model import Request


@dataclass(frozen=True, eq=False, slots=True)
class Stream:
    """One request and its answer: its `events` with text start at row `first` of the table.

    `asked` is when its user first asked it, ns; `is_asked_again`: the user gave it up and asked once more.
    """

    request: Request
    events: int
    last_sign_of_life: int
    first: int
    table: GapTable
    asked: int
    is_asked_again: bool

    @property
    def gaps(self) -> Gaps:
        """The stream's gaps, in order."""
        rows = np.arange(self.first, self.first + self.events)
        return Gaps(self.table, rows[self.table.is_gap[rows]])

    @property
    def tokens(self) -> float:
        """The tokens of its events, by the server's usage where there is one."""
        return self.table.token_counts.of(self.number, self.events)

    @property
    def number(self) -> int:
        """The stream's number in the records."""
        return self.request.stream

    @property
    def is_complete(self) -> bool:
        """The protocol's end marker was received."""
        return self.request.completion == "complete"

    @property
    def is_cancelled(self) -> bool:
        """The end of the run cut it off: neither complete nor interrupted."""
        return self.request.completion == "cancelled"

    @property
    def is_client_error(self) -> bool:
        """This machine could not do its part: neither complete nor interrupted."""
        return self.request.completion == "client_error"

    @property
    def is_counted(self) -> bool:
        """It says something about the endpoint: it is complete or interrupted."""
        return not self.is_cancelled and not self.is_client_error

    @property
    def is_interrupted(self) -> bool:
        """It ended without being complete, and neither the run's end nor this machine was the reason."""
        return self.is_counted and not self.is_complete


@dataclass(frozen=True, eq=False)
class Streams:
    """All streams that ended, by number, and all their tokens. `unfinished` were open when the records end.

    `bursts` are those of streams that came in bursts; `server_lateness` is how late the reference server sent each
    token, ns; `arrivals` is all data of any stream.
    """

    ended: tuple[Stream, ...]
    table: GapTable
    unfinished: int
    bursts: Mapping[int, Bursts]
    server_lateness: Ints
    arrivals: Arrivals

    @property
    def gaps(self) -> Gaps:
        """The gaps of all streams."""
        rows = np.flatnonzero(self.table.is_gap)
        return Gaps(self.table, rows.astype(np.int32) if len(self.table.is_gap) < 2**31 else rows)


@dataclass(frozen=True, eq=False)
class Arrivals:
    """When data arrived: tokens, with the bytes of their reads (at most 65,535), and signs of life."""

    at: Ints
    size: Ints
    signs: SignsOfLife

    @property
    def last(self) -> int:
        """The latest stamp, 0 if nothing arrived."""
        return max((int(stamps.max()) for stamps in (self.at, self.signs.last) if len(stamps)), default=0)


def assemble_streams(
    requests: Iterable[Request],
    tokens: Tokens,
    signs: SignsOfLife,
    reader: Reader = Reader(),  # noqa: B008  frozen
) -> Streams:
    """The streams of these records. No two requests have the same number."""
    ended = sorted(requests, key=lambda request: request.stream)
    numbers = np.array([request.stream for request in ended], dtype=np.int64)
    arrivals = Arrivals(tokens.at, tokens.size, signs)
    unfinished = np.setdiff1d(np.concatenate((tokens.stream[group_starts(tokens.stream)], signs.stream)), numbers)
    if len(unfinished):
        tokens = Tokens(*(column[~np.isin(tokens.stream, unfinished)] for column in tokens))
    bounds = [*np.searchsorted(tokens.stream, numbers).tolist(), len(tokens.at)]
    gaps_of_all = gap_table(ended, tokens, bounds, reader)
    asked, given_up = _first_asked(ended), {request.retry_of for request in ended}
    assembled = tuple(
        Stream(
            request,
            after - first,
            min(last, request.ended),
            first,
            gaps_of_all,
            asked[request.stream],
            request.stream in given_up,
        )
        for request, last, (first, after) in zip(
            ended, _last_signs_of_life(ended, tokens, bounds, signs), pairwise(bounds), strict=True
        )
    )
    bursts = find_bursts(ended, tokens, bounds)
    return Streams(assembled, gaps_of_all, len(unfinished), bursts, tokens.server_lateness, arrivals)


def without(left_out: Sequence[Request], tokens: Tokens, signs: SignsOfLife) -> tuple[Tokens, SignsOfLife]:
    """The tokens and signs of life of all other streams."""
    if not left_out:
        return tokens, signs
    numbers = np.array([request.stream for request in left_out], dtype=np.int64)
    kept, kept_signs = ~np.isin(tokens.stream, numbers), ~np.isin(signs.stream, numbers)
    return Tokens(*(column[kept] for column in tokens)), SignsOfLife(
        signs.stream[kept_signs], signs.first[kept_signs], signs.last[kept_signs], signs.largest[kept_signs]
    )


def _first_asked(requests: Sequence[Request]) -> dict[int, int]:
    """When the user of each request asked it for the first time; they are in the order of their numbers."""
    found: dict[int, int] = {}
    for request in requests:
        former = found.get(request.retry_of) if request.retry_of is not None else None
        found[request.stream] = request.scheduled if former is None else min(former, request.scheduled)
    return found


def _last_signs_of_life(
    ended: Sequence[Request], tokens: Tokens, bounds: Sequence[int], signs: SignsOfLife
) -> list[int]:
    """The stamp of each stream's last sign of life."""
    numbers = np.array([request.stream for request in ended], dtype=np.int64)
    latest = np.array([max(_stamps(request)) for request in ended], dtype=np.int64)
    with_tokens = np.flatnonzero(np.diff(bounds))
    if len(with_tokens):
        latest[with_tokens] = np.maximum(
            latest[with_tokens], np.maximum.reduceat(tokens.at, np.array(bounds)[with_tokens])
        )
    known = np.isin(signs.stream, numbers)
    np.maximum.at(latest, np.searchsorted(numbers, signs.stream[known]), signs.last[known])
    return cast("list[int]", latest.tolist())


def _stamps(request: Request) -> Iterable[int]:
    signs = (request.scheduled, request.started, request.sent, request.headers)
    return (sign for sign in signs if sign is not None)
