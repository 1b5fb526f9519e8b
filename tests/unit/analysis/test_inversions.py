"""Priority inversions are counted from what spans tell of two queues."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chaoskit.analysis.chains.inversions import inversions
from chaoskit.records import span_names
from chaoskit.records.model import Request
from chaoskit.records.spans import Span
from chaoskit.spec.classes import TrafficClass
from chaoskit.units import Share

PRIORITIES = {"premium": 2, "standard": 1, "batch": 0}
CLASSES = {name: TrafficClass(share=Share(10**9 // 3), priority=rank) for name, rank in PRIORITIES.items()}
S = 10**9


def request(number: int, name: str | None) -> Request:
    """One of this class."""
    return Request(number, 0, 0, 100 * S, "complete", trace=f"{number:032x}", traffic_class=name)


def span(number: int, begin: int, waited: int, name: str = span_names.ADMISSION_QUEUE, **more: Any) -> Span:
    """A span of its that tells of a queue."""
    is_gateway = name == span_names.ADMISSION_QUEUE
    return Span(
        trace=f"{number:032x}",
        span=f"{number:016x}",
        parent=None,
        host="gateway" if is_gateway else "model",
        name="x",
        operation="workflow" if is_gateway else "model",
        begin=begin,
        end=100 * S,
        attributes={name: waited, **more},
    )


def test_who_begins_while_a_more_important_one_waits_is_counted() -> None:
    """Once for each queue, however many wait."""
    requests = [request(0, "batch"), request(1, "premium"), request(2, "premium"), request(3, "standard")]
    spans = [span(0, 0, 5 * S), span(1, 1 * S, 9 * S), span(2, 2 * S, 3 * S), span(3, 11 * S, 0)]
    model = span_names.MODEL_QUEUE
    spans += [span(0, 5 * S, 6 * S, model), span(1, 10 * S, 2 * S, model), span(3, 11 * S, 3 * S, model)]

    assert inversions(requests, spans, CLASSES) == {0: 2}


def test_those_that_begin_at_one_moment_invert_nothing() -> None:
    """Nor do those that come just then, are of no class, or are refused."""
    requests = [
        request(0, "batch"),
        request(1, "premium"),
        request(2, "premium"),
        request(3, None),
        request(4, "premium"),
    ]
    spans = [span(0, 0, 5 * S), span(1, 1 * S, 4 * S), span(2, 5 * S, 1 * S), span(3, 0, 2 * S)]
    spans.append(span(4, 0, 60 * S, **{span_names.ADMISSION: "shed"}))

    assert inversions(requests, spans, CLASSES) == {}


@given(st.lists(st.tuples(st.sampled_from(list(PRIORITIES)), st.integers(0, 20), st.integers(0, 20)), max_size=25))
def test_the_count_is_that_of_all_pairs(waits: list[tuple[str, int, int]]) -> None:
    """As a look at every pair has it."""
    requests = [request(number, name) for number, (name, _, _) in enumerate(waits)]
    spans = [span(number, begin, waited) for number, (_, begin, waited) in enumerate(waits)]

    expected = {
        number: 1
        for number, (name, begin, waited) in enumerate(waits)
        if any(
            PRIORITIES[other] > PRIORITIES[name] and start < begin + waited < start + length
            for other, start, length in waits
        )
    }

    assert inversions(requests, spans, CLASSES) == expected
