"""Counts events without tokens instead of recording each one.

A server that sends only pings costs one record per stream and flush, whatever their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from chaoskit.records.model import TOKENS, EventKind, Keepalives, SocketRead


class KeepaliveCounter:
    """The open series of such events, and the number of tokens of each stream."""

    def __init__(self) -> None:
        self._open: dict[int, _Series] = {}
        self._tokens: Counter[int] = Counter()

    def add(self, read: SocketRead) -> Iterator[SocketRead | Keepalives]:
        """The records of this read: the series that its tokens end, and its tokens."""
        stream, tokens = read.stream, []
        for event in read.events:
            if event.kind in TOKENS:
                yield from self._close(stream)
                self._tokens[stream] += 1
                tokens.append(event)
            else:
                if stream not in self._open:
                    self._open[stream] = _Series(self._tokens[stream], read.at)
                self._open[stream].add(read, event.kind)
        if tokens:
            yield read if len(tokens) == len(read.events) else replace(read, events=tuple(tokens))

    def end(self, stream: int) -> Iterator[Keepalives]:
        """The records to write when a stream has ended."""
        yield from self._close(stream)
        self._tokens.pop(stream, None)

    def flush(self) -> Iterator[Keepalives]:
        """End every series, so that a kill loses none."""
        for stream in list(self._open):
            yield from self._close(stream)

    def _close(self, stream: int) -> Iterator[Keepalives]:
        series = self._open.pop(stream, None)
        if series is not None:
            yield series.record(stream)


class _Series:
    """Consecutive events of a stream without a token."""

    def __init__(self, tokens: int, at: int) -> None:
        self._tokens = tokens
        self._first = self._last = at
        self._size = self._largest = 0
        self._latest: int | None = None  # number of the latest read
        self._counts: Counter[EventKind] = Counter()

    def add(self, read: SocketRead, kind: EventKind) -> None:
        """Add one event of this read."""
        if read.number != self._latest:
            self._latest, self._last = read.number, read.at
            self._size += read.size
            self._largest = max(self._largest, read.size)
        self._counts[kind] += 1

    def record(self, stream: int) -> Keepalives:
        """The record of this series."""
        counts = {str(kind): count for kind, count in self._counts.items()}
        return Keepalives(stream, self._tokens, self._first, self._last, self._size, self._largest, **counts)
