"""Streams put together from their requests and reads: tokens, the gaps between them, how each one ended.

Rules: a token is an event with content or reasoning, stamped with its read; a gap runs from one token to the
next, or, in a stream that died, from its last token to its death. A stream that our own end of the run cut
off keeps its last gap only if that was a stall already. A planned gap that is itself a stall is the server's
own pause and is subtracted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from chaoskit.records.model import Read, Request

STALL = 200_000_000  # ns; the Eloquent paper's threshold
SEVERE = 1_000_000_000
READING = 50_000_000  # ns that a reader takes for a token: 20 tokens/s

_TOKENS = ("content", "reasoning")


class Token(NamedTuple):
    """One token: `at` the kernel's stamp, `user` ours, `due` and `sent` the reference server's."""

    at: int
    user: int
    read: int
    due: int | None
    sent: int | None


class Gap(NamedTuple):
    """The time between two tokens, in ns; `after` is None when the stream ended at `end` instead.

    `excess` is its length without the server's own pause, `wait` how long a reader had nothing to read.
    """

    stream: int
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
class Stream:
    """One request and all that came of it. `alive` is its last sign of life."""

    request: Request
    tokens: tuple[Token, ...]
    gaps: tuple[Gap, ...]
    alive: int

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


def streams(requests: Iterable[Request], reads: Iterable[Read]) -> tuple[list[Stream], int]:
    """All streams that ended, by number, and how many were still open when the records break off."""
    by_stream: dict[int, list[Read]] = defaultdict(list)
    for read in reads:
        by_stream[read.stream].append(read)
    ended = [_stream(request, by_stream.pop(request.stream, [])) for request in requests]
    return sorted(ended, key=lambda stream: stream.number), len(by_stream)


def _stream(request: Request, reads: Sequence[Read]) -> Stream:
    tokens = tuple(
        Token(read.at, read.user, read.read, event.due, event.sent)
        for read in reads
        for event in read.events
        if event.kind in _TOKENS
    )
    signs = (request.scheduled, request.started, request.sent, request.headers, *(read.at for read in reads))
    alive = max(sign for sign in signs if sign is not None)
    return Stream(request, tokens, tuple(_gaps(request, tokens)), min(alive, request.ended))


def _gaps(request: Request, tokens: Sequence[Token]) -> Iterable[Gap]:
    if not tokens:
        return
    free = tokens[0].at + READING  # when the reader has finished the token before
    for before, after in pairwise(tokens):
        end = max(before.at, after.at)
        yield _gap(request.stream, before, after, end, free)
        free = max(free, end) + READING
    if request.completion == "complete":
        return
    last = tokens[-1]
    end = max(last.at, request.ended)
    if request.completion != "cancelled" or end - last.at > STALL:
        yield _gap(request.stream, last, None, end, free)


def _gap(stream: int, before: Token, after: Token | None, end: int, free: int) -> Gap:
    length = end - before.at
    return Gap(stream, before, after, end, length, length - _pause(before, after), max(0, end - free))


def _pause(before: Token, after: Token | None) -> int:
    """What of the time between two tokens the server had planned as a pause, ns."""
    if after is None or after.due is None or before.due is None:
        return 0
    planned = after.due - before.due
    return planned if planned > STALL else 0
