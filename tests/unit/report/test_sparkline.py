"""A phase as a sparkline."""

from __future__ import annotations

import math

from chaoskit.analysis.result import Bucket
from chaoskit.report.sparkline import interruption_marks, latency_legend, line, mark_legend, merge, scale


def bucket(ttft: float | None, interrupted: int = 0) -> Bucket:
    """A bucket with this median, in ms."""
    return Bucket(at_s=0, requests=1, ttft_p50_ms=ttft, interrupted=interrupted, stalls=2)


def test_the_scale_runs_from_the_least_to_the_largest() -> None:
    """The smallest, the largest and their geometric mean; a bucket without requests; one without a first token."""
    course = [bucket(100), bucket(1600), bucket(400), bucket(None), bucket(math.inf)]

    ends = scale(course)

    assert ends is not None
    assert ends == (100, 1600)
    assert line(course, ends) == "▁█▅ !"


def test_a_small_change_looks_small() -> None:
    """The scale spans a factor of two at least: a tenth more is no peak."""
    course = [bucket(100), bucket(110)]

    ends = scale(course)

    assert ends is not None
    assert ends == (100, 200)
    assert line(course, ends) == "▁▂"


def test_instant_answers_have_a_scale_too() -> None:
    """Latencies of 0 do not break the logarithm."""
    assert line([bucket(0)], (0, 0)) == "▁"


def test_without_a_first_token_there_is_no_scale() -> None:
    """There is nothing to draw."""
    assert scale([bucket(None), bucket(math.inf)]) is None


def test_interruptions_are_counted() -> None:
    """A cross for one, a digit for some, a plus for ten and more."""
    assert interruption_marks([bucket(1), bucket(1, 1), bucket(1, 9), bucket(1, 10), bucket(1)]) == " ×9+"


def test_merging_keeps_the_worst() -> None:
    """Several buckets as one show their slowest median and all their interruptions."""
    merged = merge([bucket(100, 1), bucket(None), bucket(300, 2), bucket(50)], 3)

    assert [(each.ttft_p50_ms, each.interrupted, each.stalls) for each in merged] == [(300, 3, 6), (50, 0, 2)]


def test_the_legend_has_measured_latencies_only() -> None:
    """The scale may reach beyond them; the legend has the least and the largest, each with its own character."""
    course = [bucket(100), bucket(None), bucket(110), bucket(math.inf)]

    ends = scale(course)

    assert ends is not None
    assert latency_legend(course, ends) == "100 ms ▁ to 110 ms ▂"
    assert latency_legend(course[:1], ends) == "100 ms ▁"


def test_the_legend_explains_the_marks_that_are_drawn() -> None:
    """A cross, digits and a plus, each only where there is one; nothing without marks."""
    assert mark_legend(" ×9+") == "interrupted: × 1, 2–9, + 10 or more"
    assert mark_legend("3 2") == "interrupted: 2–9"
    assert mark_legend("+") == "interrupted: + 10 or more"
    assert mark_legend("  ") == ""
