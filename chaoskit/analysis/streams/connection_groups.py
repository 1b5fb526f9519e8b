"""Finds streams that shared a connection, which are not independent of one another.

A packet that is lost holds back all streams of an HTTP/2 connection until it has been sent again (RFC 9114, 1.1). So
intervals are of groups: the streams of a connection from one moment at which it has none to the next. A stream that is
alone on its connection while it lasts is a group of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chaoskit.records.model import Request


@dataclass(frozen=True)
class Groups:
    """The group of each stream that shared its connection: the number of its first stream. The others are alone."""

    of: Mapping[int, int] = field(default_factory=dict)

    def are_in(self, streams: Collection[int]) -> bool:
        """Whether any of these streams shared its connection."""
        return bool(self.of) and any(stream in self.of for stream in streams)

    def each(self, streams: Iterable[int]) -> list[int]:
        """The group of each of these streams."""
        return [self.of.get(stream, stream) for stream in streams]

    def sums(self, streams: Sequence[int], values: Sequence[float]) -> list[float]:
        """The sum of the streams of each group, with one value for each stream."""
        if not self.of:
            return list(values)
        found: defaultdict[int, float] = defaultdict(float)
        for group, value in zip(self.each(streams), values, strict=True):
            found[group] += value
        return list(found.values())


def groups(requests: Iterable[Request]) -> Groups:
    """Those of all requests of a client."""
    by_connection = defaultdict[int, list[Request]](list)
    for request in requests:
        if request.http == "HTTP/2" and request.connection is not None:
            by_connection[request.connection].append(request)
    found: dict[int, int] = {}
    for users in by_connection.values():
        first, until = -1, -1
        for request in sorted(users, key=lambda request: (request.started, request.stream)):
            if request.started < until:
                found |= {first: first, request.stream: first}
            else:
                first = request.stream
            until = max(until, request.ended)
    return Groups(found)
