"""Streams put together from their requests, tokens and signs of life, and how each one ended.

Rules: a token is an event with content or reasoning, stamped with its read; see `gaps` for what lies between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np

from chaoskit.analysis.streams.columns import Ints, SignsOfLife, Tokens
from chaoskit.analysis.streams.gaps import Gaps, Table, starts, table
from chaoskit.records.model import Request


@dataclass(frozen=True, eq=False, slots=True)
class Stream:
    """One request and all that came of it: its `tokens` from row `first` of the table on. `alive` is its last sign of
    life."""

    request: Request
    tokens: int
    alive: int
    first: int
    table: Table

    @property
    def gaps(self) -> Gaps:
        """In order."""
        rows = np.arange(self.first, self.first + self.tokens)
        return Gaps(self.table, rows[self.table.is_gap[rows]])

    @property
    def number(self) -> int:
        """As the records number it."""
        return self.request.stream

    @property
    def is_complete(self) -> bool:
        """The protocol's own end marker was seen."""
        return self.request.completion == "complete"

    @property
    def is_cancelled(self) -> bool:
        """Our own end of the run cut it off: neither complete nor interrupted."""
        return self.request.completion == "cancelled"

    @property
    def is_interrupted(self) -> bool:
        """It ended, and neither by itself nor by us."""
        return not self.is_complete and not self.is_cancelled


@dataclass(frozen=True, eq=False)
class Streams:
    """All streams that ended, by number, and all their tokens. `unfinished` were open when the records break off.

    `late` is how late the reference server sent each token, ns; `heard` is what came of any stream.
    """

    each: tuple[Stream, ...]
    table: Table
    unfinished: int
    late: Ints
    heard: Heard

    @property
    def gaps(self) -> Gaps:
        """Of all of them."""
        rows = np.flatnonzero(self.table.is_gap)
        return Gaps(self.table, rows.astype(np.int32) if len(self.table.is_gap) < 2**31 else rows)


@dataclass(frozen=True, eq=False)
class Heard:
    """When something came: tokens, with the bytes of their reads (as far as 65,535), and signs of life."""

    at: Ints
    size: Ints
    signs: SignsOfLife

    @property
    def last(self) -> int:
        """The latest stamp, 0 if nothing came."""
        return max((int(stamps.max()) for stamps in (self.at, self.signs.last) if len(stamps)), default=0)


def streams(requests: Iterable[Request], tokens: Tokens, signs: SignsOfLife) -> Streams:
    """The streams of these records. No two requests have the same number."""
    ended = sorted(requests, key=lambda request: request.stream)
    numbers = np.array([request.stream for request in ended], dtype=np.int64)
    heard = Heard(tokens.at, tokens.size, signs)
    strangers = np.setdiff1d(np.concatenate((tokens.stream[starts(tokens.stream)], signs.stream)), numbers)
    if len(strangers):
        tokens = Tokens(*(column[~np.isin(tokens.stream, strangers)] for column in tokens))
    bounds = [*np.searchsorted(tokens.stream, numbers).tolist(), len(tokens.at)]
    made = table(ended, tokens, bounds)
    found = tuple(
        Stream(request, after - first, min(last, request.ended), first, made)
        for request, last, (first, after) in zip(
            ended, _alive(ended, tokens, bounds, signs), pairwise(bounds), strict=True
        )
    )
    return Streams(found, made, len(strangers), tokens.late, heard)


def _alive(ended: Sequence[Request], tokens: Tokens, bounds: Sequence[int], signs: SignsOfLife) -> list[int]:
    """The latest sign of life of each."""
    numbers = np.array([request.stream for request in ended], dtype=np.int64)
    latest = np.array([max(_stamps(request)) for request in ended], dtype=np.int64)
    having = np.flatnonzero(np.diff(bounds))
    if len(having):
        latest[having] = np.maximum(latest[having], np.maximum.reduceat(tokens.at, np.array(bounds)[having]))
    known = np.isin(signs.stream, numbers)
    np.maximum.at(latest, np.searchsorted(numbers, signs.stream[known]), signs.last[known])
    return cast("list[int]", latest.tolist())


def _stamps(request: Request) -> Iterable[int]:
    signs = (request.scheduled, request.started, request.sent, request.headers)
    return (sign for sign in signs if sign is not None)
