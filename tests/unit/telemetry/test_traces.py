"""The spans of a run, prepared for analysis."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaoskit.records.model import Request
from chaoskit.records.spans import Exports, Span
from chaoskit.telemetry.traces import traces

MS = 1_000_000


def trace(number: int) -> str:
    """That of a request."""
    return f"{number + 1:032x}"


def asked(number: int) -> Request:
    """A request that was sent."""
    return Request(number, 0, 0, 100 * MS, "complete", sent=1, trace=trace(number))


def span(own: str, parent: str | None = None, operation: str = "retrieval", host: str = "app", number: int = 0) -> Span:
    """A span of request 0, or another one."""
    return Span(trace(number), own, parent, host, own, operation, 10, 20)  # type: ignore[arg-type]


def test_a_span_within_one_of_the_same_operation_is_a_detail() -> None:
    """Of the same program, at any depth; attempts and other programs' spans are hops."""
    spans = [
        span("a", operation="workflow"),
        span("b", "a"),
        span("c", "b", "other"),
        span("d", "c"),
        replace(span("e", "b"), attributes={"chaoskit.attempt": 2}),
        span("f", "b", host="vectors"),
        span("g", "a"),
        span("h", "a", "workflow"),
        span("x", "y"),
        span("y", "x"),
        span("z", "z"),
    ]

    found = traces([asked(0)], spans, [], has_one_clock=True).spans

    changed = {after.span for before, after in zip(spans, found, strict=True) if before != after}
    assert changed == {"d", "h", "x", "y"}
    assert {each.operation for each in found if each.span in changed} == {"other"}


def test_a_span_that_comes_twice_counts_once() -> None:
    """The first one, in its place."""
    first, second = span("a"), span("b")

    assert traces([asked(0)], [first, second, replace(first, name="again")], [], True).spans == (first, second)


@pytest.mark.parametrize(
    ("exports", "reason"),
    [
        ([], "no request has a span: no program exported any"),
        ([Exports("app", 1, other=3)], "no request has a span: no program exported any"),
        (
            [Exports("app", 1, exports=2, foreign=7)],
            "no request has a span: 7 exported spans had other traces; the program must take over traceparent",
        ),
        (
            [Exports("app", 1, refused=2, problem="spans in protobuf cannot be read without it")],
            "no request has a span: 2 exports could not be read: spans in protobuf cannot be read without it",
        ),
        ([Exports("app", 1, exports=2, beyond=1)], "no request has a span: there was no room for 1 span"),
        ([Exports("app", 1, exports=2, spans=4)], "no request has a span"),
    ],
)
def test_requests_without_a_span_are_counted_with_the_reason(exports: list[Exports], reason: str) -> None:
    """That which the counts of the exports tell; a request that was never sent is not missing."""
    requests = [asked(0), asked(1), replace(asked(2), sent=None), replace(asked(3), trace=None)]

    found = traces(requests, [], exports, has_one_clock=True)

    assert (found.requests, found.without, found.reason) == (2, (0, 1), reason)


def test_some_may_have_none() -> None:
    """Their numbers are told; where all have one there is no reason."""
    some = traces([asked(0), asked(1)], [span("a")], [Exports("app", 1, exports=1, spans=1)], has_one_clock=True)
    every = traces([asked(0)], [span("a")], [], has_one_clock=True)

    assert (some.without, some.reason) == ((1,), "1 of 2 requests have no span")
    assert (every.without, every.reason) == ((), "")


def test_a_clock_that_jumped_is_the_reason() -> None:
    """Outside of a lab; in a lab there is one clock."""
    requests = [replace(asked(number), scheduled=0, sent=10**9, ended=2 * 10**9) for number in (0, 1)]
    wild = [replace(span("a"), begin=5, end=6), replace(span("b", number=1), begin=10**12, end=10**12)]

    found = traces(requests, wild, [Exports("app", 1, exports=1, spans=2)], has_one_clock=False)

    assert found.spans == ()
    assert found.reason == "no request has a span: the clock of app jumped, and its spans fit no request"
    assert traces(requests, wild, [], has_one_clock=True).reason == ""
