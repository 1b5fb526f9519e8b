"""Counts priority inversions: requests that go before a waiting one of a more important class.

Two queues are seen: that of a gateway, whose spans tell how long a request waited to be admitted, and that of a model,
whose spans tell how long it waited for its first step. A queue in the order of arrival has many; a priority queue none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from chaoskit.records import span_names
from chaoskit.records.model import Request
from chaoskit.records.spans import Span
from chaoskit.spec.classes import TrafficClass

_QUEUES = (span_names.ADMISSION_QUEUE, span_names.MODEL_QUEUE)
_BEGINS, _LOOKS, _WAITS = range(3)  # at one moment all that begin leave the queue first, and newcomers join it last


class _Wait(NamedTuple):
    """A stay in a queue; stamps in ns."""

    stream: int
    priority: int
    begin: int
    end: int


def inversions(
    requests: Sequence[Request], spans: Iterable[Span], classes: Mapping[str, TrafficClass]
) -> dict[int, int]:
    """By the number of a request: in how many queues it went before a more important one. Others are not in it."""
    queues: dict[tuple[str, str], list[_Wait]] = {}
    by_trace = {request.trace: request for request in requests if request.trace}
    for span in spans:
        request = by_trace.get(span.trace)
        rank = None if request is None else classes.get(request.traffic_class or "")
        for name in _QUEUES:
            waited = span.attributes.get(name)
            if request is not None and rank is not None and type(waited) is int and not _was_refused(span):
                queues.setdefault((span.host, name), []).append(
                    _Wait(request.stream, rank.priority, span.begin, span.begin + max(0, waited))
                )
    return dict(Counter(stream for waits in queues.values() for stream in _inverted(waits)))


def _was_refused(span: Span) -> bool:
    return span.attributes.get(span_names.ADMISSION) == "shed"


def _inverted(waits: Iterable[_Wait]) -> Iterator[int]:
    """Who began while somebody more important waited."""
    events = sorted(
        (at, kind, wait.priority, wait.stream)
        for wait in waits
        for at, kind in ((wait.begin, _WAITS), (wait.end, _BEGINS), (wait.end, _LOOKS))
        if kind == _LOOKS or wait.end > wait.begin
    )
    waiting: Counter[int] = Counter()
    for _, kind, priority, stream in events:
        if kind == _WAITS:
            waiting[priority] += 1
        elif kind == _BEGINS:
            waiting[priority] -= 1
        elif any(count > 0 and other > priority for other, count in waiting.items()):
            yield stream
