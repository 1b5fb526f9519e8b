"""Events that are no tokens, counted instead of written one by one.

A server that sends nothing but pings costs one record for each of its streams and each flush, however many they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from chaoskit.records.model import TOKENS, EventKind, Read, Signs


class Runs:
    """The runs of signs that are open, and how many tokens each stream has had."""

    def __init__(self) -> None:
        self._open: dict[int, _Run] = {}
        self._tokens: Counter[int] = Counter()

    def take(self, read: Read) -> Iterator[Read | Signs]:
        """What to write down of this read: the runs that its tokens end, and its tokens."""
        stream, tokens = read.stream, []
        for event in read.events:
            if event.kind in TOKENS:
                yield from self._close(stream)
                self._tokens[stream] += 1
                tokens.append(event)
            else:
                if stream not in self._open:
                    self._open[stream] = _Run(self._tokens[stream], read.at)
                self._open[stream].add(read, event.kind)
        if tokens:
            yield read if len(tokens) == len(read.events) else replace(read, events=tuple(tokens))

    def end(self, stream: int) -> Iterator[Signs]:
        """What to write down when a stream has ended."""
        yield from self._close(stream)
        self._tokens.pop(stream, None)

    def flush(self) -> Iterator[Signs]:
        """End every run, so that a kill takes none along."""
        for stream in list(self._open):
            yield from self._close(stream)

    def _close(self, stream: int) -> Iterator[Signs]:
        run = self._open.pop(stream, None)
        if run is not None:
            yield run.signs(stream)


class _Run:
    """Events that are no tokens, in a row."""

    def __init__(self, tokens: int, at: int) -> None:
        self._tokens = tokens
        self._first = self._last = at
        self._size = self._largest = 0
        self._latest: int | None = None  # number of the read that was counted last
        self._counts: Counter[EventKind] = Counter()

    def add(self, read: Read, kind: EventKind) -> None:
        """One event of this read."""
        if read.read != self._latest:
            self._latest, self._last = read.read, read.at
            self._size += read.size
            self._largest = max(self._largest, read.size)
        self._counts[kind] += 1

    def signs(self, stream: int) -> Signs:
        """The record of it."""
        counts = {str(kind): count for kind, count in self._counts.items()}
        return Signs(stream, self._tokens, self._first, self._last, self._size, self._largest, **counts)
