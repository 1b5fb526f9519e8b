"""Clocks of exporting programs that differ from the run's."""

from __future__ import annotations

import random

import pytest

from chaoskit.records.model import Request
from chaoskit.records.spans import Span
from chaoskit.telemetry.clocks import ClockShift, aligned

MS = 1_000_000
BEGIN = 3600 * 1000 * MS


def run(shift: int, tail: int = 0, jump: int = 0, seed: int = 1) -> tuple[list[Span], dict[str, Request]]:
    """40 requests, 20 ms of way to the program and back, whose clock is behind by `shift` and jumps after half of them.

    The program works on for `tail` after its answer.
    """
    chance, spans, requests = random.Random(seed), [], {}
    for number in range(40):
        trace, sent = f"{number + 1:032x}", BEGIN + number * 300 * MS
        way, work = (20 + chance.randrange(30)) * MS, (100 + chance.randrange(900)) * MS
        begin = sent + way - shift - (jump if number >= 20 else 0)
        requests[trace] = Request(number, sent, sent, sent + 2 * way + work, "complete", sent=sent)
        spans.append(Span(trace, "1" * 16, None, "app", "chat", "workflow", begin, begin + work + tail))
        spans.append(Span(trace, "2" * 16, "1" * 16, "app", "search", "retrieval", begin + MS, begin + work // 2))
    return spans, requests


@pytest.mark.parametrize("shift", [0, 5 * MS, -5 * MS, 15 * MS])
def test_a_small_difference_changes_nothing(shift: int) -> None:
    """Where all spans fit in their requests there is no sign of another clock."""
    spans, requests = run(shift)

    assert aligned(spans, requests) == (spans, [])


@pytest.mark.parametrize("shift", [90 * MS, 1500 * MS, -1500 * MS, 40_000 * MS, -(3000 * 1000 * MS)])
def test_another_clock_is_found(shift: int) -> None:
    """Its shift is told with its bounds, which hold the true one; the spans are within their requests afterwards."""
    spans, requests = run(shift)

    moved, (found,) = aligned(spans, requests)

    assert found.shift is not None
    assert abs(found.shift - shift) <= found.within <= 30 * MS
    assert (found.host, found.requests) == ("app", 40)
    for before, after in zip(spans, moved, strict=True):
        assert after.end - after.begin == before.end - before.begin
        assert requests[after.trace].sent <= after.begin <= after.end <= requests[after.trace].ended  # type: ignore[operator]


def test_work_after_the_answer_is_no_other_clock() -> None:
    """A span that ends after its request is no sign; with another clock the bounds are wider, and hold."""
    late, requests = run(0, tail=5000 * MS)
    both, others = run(7000 * MS, tail=5000 * MS)

    assert aligned(late, requests) == (late, [])
    _, (found,) = aligned(both, others)
    assert found.shift is not None
    assert abs(found.shift - 7000 * MS) <= found.within


def test_a_clock_that_jumps_explains_nothing() -> None:
    """Its spans are left out rather than moved by a guess; those of other programs stay."""
    spans, requests = run(0, jump=60_000 * MS)
    other = Span("0" * 31 + "1", "3" * 16, None, "model", "x", "model", BEGIN + 30 * MS, BEGIN + 40 * MS)

    kept, shifts = aligned([*spans, other], requests)

    assert (kept, shifts) == ([other], [ClockShift("app", None, 0, 40)])


def test_spans_of_no_known_request_say_nothing() -> None:
    """Such as those of a request that was never sent."""
    spans, _ = run(9000 * MS)

    assert aligned(spans, {}) == (spans, [])
