"""Finds answers whose text began again, by the numbers of the reference server's events.

They reach the client through what passes events on as they are, so that they show what a gateway made of two answers:
one that continues another has the numbers that follow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit.records import span_names
from chaoskit.records.jsonl import read_numbered
from chaoskit.records.model import TOKENS, Request, SocketRead
from chaoskit.records.spans import Span


@dataclass(frozen=True)
class Numbering:
    """The numbers of the events of an answer: how often they fell back, and how many events have one."""

    fell_back: int = 0
    numbered: int = 0


def candidates(requests: Iterable[Request], spans: Iterable[Span]) -> frozenset[int]:
    """The requests whose answer may be of two: a model was asked again for it, or it has more events than it asked."""
    again = {
        span.trace
        for span in spans
        if span.operation == "model"
        and isinstance(number := span.attributes.get(span_names.ATTEMPT), int)
        and number > 1
    }
    return frozenset(
        each.stream for each in requests if each.trace in again or (each.asked is not None and each.tokens > each.asked)
    )


def read_numbering(run: Path, streams: Collection[int]) -> Mapping[int, Numbering]:
    """The numbering of these answers. Raises SpecError with file and line."""
    if not streams:
        return {}
    return numbering(read for _, read in read_numbered(run, SocketRead) if read.stream in streams)


def numbering(reads: Iterable[SocketRead]) -> dict[int, Numbering]:
    """The same of records."""
    latest: dict[int, int] = {}
    fell_back: dict[int, int] = {}
    numbered: dict[int, int] = {}
    for read in reads:
        for event in read.events:
            if event.kind in TOKENS and event.seq is not None:
                fell_back[read.stream] = fell_back.get(read.stream, 0) + (event.seq <= latest.get(read.stream, -1))
                numbered[read.stream] = numbered.get(read.stream, 0) + 1
                latest[read.stream] = event.seq
    return {stream: Numbering(fell_back[stream], count) for stream, count in numbered.items()}
