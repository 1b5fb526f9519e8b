"""Builds the tree of spans of each request, from whatever programs recorded.

Rules: the request itself is the root, from `scheduled` on; a span stands in one place at the most. What is malformed is
counted, and misleads nothing:

| spans                               | what becomes of them                                                    |
|-------------------------------------|-------------------------------------------------------------------------|
| the same identity a second time     | the first one is kept                                                   |
| a parent that nobody recorded       | below the request: its own caller is unknown                            |
| parents in a circle                 | the one that begins first stands below the request                      |
| an end before the begin             | it has no length                                                        |
| a trace that no request has         | left out                                                                |
| begin or end outside of its parent  | kept; the critical path counts what lies inside                         |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chaoskit.analysis.chains.ladder import is_switch
from chaoskit.records.model import Request
from chaoskit.records.spans import Span


@dataclass(frozen=True, eq=False)
class Node:
    """A span and those that name it as their parent, in order of their begin. The request has no span."""

    begin: int
    end: int
    span: Span | None = None
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it, each before those below it."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack += reversed(node.children)


@dataclass(frozen=True)
class Malformed:
    """How many spans were not as they should be, of all requests."""

    duplicates: int = 0
    without_parent: int = 0
    in_circles: int = 0
    negative: int = 0
    of_no_request: int = 0


@dataclass(frozen=True)
class Trees:
    """The tree of each request that has spans, by its number."""

    of_request: Mapping[int, Node]
    malformed: Malformed
    spans: int


@dataclass
class _Counts:
    duplicates: int = 0
    without_parent: int = 0
    in_circles: int = 0
    negative: int = 0


def build_trees(requests: Iterable[Request], spans: Iterable[Span]) -> Trees:
    """The trees of these requests. Two requests with one trace: the first has it."""
    counts, total, strays = _Counts(), 0, 0
    traces: dict[str, dict[str, Span]] = {}
    of_trace = {request.trace: request for request in reversed(list(requests)) if request.trace is not None}
    for span in spans:
        total += 1
        if span.trace not in of_trace:
            strays += not is_switch(span)
        elif span.span in (known := traces.setdefault(span.trace, {})):
            counts.duplicates += 1
        else:
            counts.negative += span.end < span.begin
            known[span.span] = span if span.end >= span.begin else replace(span, end=span.begin)
    found = {of_trace[trace].stream: _tree(of_trace[trace], known, counts) for trace, known in traces.items()}
    malformed = Malformed(**vars(counts), of_no_request=strays)
    return Trees(dict(sorted(found.items())), malformed, total)


def _tree(request: Request, spans: Mapping[str, Span], counts: _Counts) -> Node:
    below: dict[str | None, list[Span]] = defaultdict(list)
    roots: list[Span] = []
    for span in spans.values():
        if span.parent in spans and span.parent != span.span:
            below[span.parent].append(span)
        else:
            counts.in_circles += span.parent == span.span
            roots.append(span)
    placed: dict[str, None] = {}
    for root in roots:
        _place(root, below, placed)
    if roots:
        asked = min(roots, key=_order).parent  # what the request itself is called
        counts.without_parent += sum(span.parent not in (asked, span.span) for span in roots)
    for root in sorted((span for name, span in spans.items() if name not in placed), key=_order):
        if root.span in placed:
            continue  # it stands in a circle that was opened
        counts.in_circles += 1
        below[root.parent].remove(root)
        roots.append(root)
        _place(root, below, placed)
    return Node(request.scheduled, max(request.ended, request.scheduled), None, _nodes(roots, below))


def _place(root: Span, below: Mapping[str | None, Sequence[Span]], placed: dict[str, None]) -> None:
    stack = [root]
    while stack:
        span = stack.pop()
        placed[span.span] = None
        stack += below.get(span.span, ())


def _nodes(roots: Sequence[Span], below: Mapping[str | None, Sequence[Span]]) -> tuple[Node, ...]:
    """The nodes of these spans, without recursion: a chain of parents may be very long."""
    ordered = [*roots]
    for span in ordered:
        ordered += below.get(span.span, ())
    made: dict[str, Node] = {}
    for span in reversed(ordered):
        children = sorted((made[each.span] for each in below.get(span.span, ())), key=_begin)
        made[span.span] = Node(span.begin, span.end, span, tuple(children))
    return tuple(sorted((made[root.span] for root in roots), key=_begin))


def _order(span: Span) -> tuple[int, int, str]:
    return span.begin, -span.end, span.span


def _begin(node: Node) -> tuple[int, int, str]:
    assert node.span is not None
    return _order(node.span)
