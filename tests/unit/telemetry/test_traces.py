"""The spans of a run on one clock, and why there are none."""

from __future__ import annotations

import pytest

from chaoskit.records.model import Request
from chaoskit.records.spans import Exports, Span
from chaoskit.telemetry.clocks import ClockShift
from chaoskit.telemetry.traces import clock_sentence, traces, warnings, why_none

SECOND = 10**9


def asked(number: int, sent: int) -> Request:
    """A request that was sent then, and took a second."""
    return Request(number, sent, sent, sent + SECOND, "complete", sent=sent, trace=f"{number + 1:032x}")


def span(number: int, begin: int) -> Span:
    """A span of a request, of half a second."""
    return Span(f"{number + 1:032x}", "1" * 16, None, "app", "x", "workflow", begin, begin + SECOND // 2)


@pytest.mark.parametrize(
    ("exports", "reason"),
    [
        ([], ""),
        ([Exports("app", 1, other=3)], ""),
        ([Exports("app", 1, exports=2, spans=4, foreign=1)], ""),
        (
            [Exports("app", 1, exports=2, foreign=7)],
            "7 exported spans had other traces: the program must take over traceparent",
        ),
        (
            [Exports("app", 1, refused=2, problem="spans in protobuf cannot be read without it")],
            "no program exported any that could be read; 2 exports could not be read: spans in protobuf cannot be read "
            "without it",
        ),
        (
            [Exports("app", 1, exports=2, foreign=7), Exports("unknown_service", 1, refused=1, problem="no JSON")],
            "7 exported spans had other traces: the program must take over traceparent",
        ),
        (
            [Exports("app", 1, exports=2, spans=7), Exports("unknown_service", 1, refused=1, problem="no JSON")],
            "1 export could not be read: no JSON",
        ),
        (
            [Exports("unknown_service", 1, refused=1, problem="no JSON"), Exports("app", 1, exports=2, beyond=1)],
            "there was no room for 1 span",
        ),
        ([Exports("app", 1, exports=2, beyond=1)], "there was no room for 1 span"),
    ],
)
def test_the_counts_of_exports_tell_why_there_are_no_spans(exports: list[Exports], reason: str) -> None:
    """As far as they can: nothing is guessed."""
    assert why_none(exports) == reason


def test_in_a_lab_there_is_one_clock() -> None:
    """Spans are as they are; elsewhere they are moved, and what fits no request is left out with the reason."""
    requests = [asked(0, 10 * SECOND), asked(1, 20 * SECOND)]
    behind = [span(0, 7 * SECOND), span(1, 17 * SECOND)]
    wild = [span(0, 7 * SECOND), span(1, 90 * SECOND)]

    assert traces(requests, wild, [], has_one_clock=True).spans == wild
    moved = traces(requests, behind, [], has_one_clock=False)
    left = traces(requests, wild, [], has_one_clock=False)

    assert [each.begin for each in moved.spans] == [10 * SECOND + SECOND // 4, 20 * SECOND + SECOND // 4]
    assert (left.spans, left.reason) == ([], "the clock of app jumped, and its spans fit no request")


def test_a_run_without_spans_is_told_where_it_matters() -> None:
    """Where some were asked for, or came and were of no use; else silence."""
    foreign = [Exports("app", 1, exports=2, foreign=7)]
    requests = [asked(0, SECOND)]

    assert warnings(traces(requests, [], [], has_one_clock=True), None) == []
    assert warnings(traces(requests, [], [], True), "[::1]:4318") == [
        "spans: no program exported any; it finds the receiver by OTEL_EXPORTER_OTLP_ENDPOINT=http://[::1]:4318"
    ]
    assert warnings(traces(requests, [], foreign, True), None) == [
        "spans: 7 exported spans had other traces: the program must take over traceparent"
    ]
    assert warnings(traces(requests, [span(0, SECOND)], foreign, True), "127.0.0.1:4318") == []


def test_what_was_done_about_a_clock_is_said() -> None:
    """With the direction, the size and its bounds."""
    behind, ahead = ClockShift("app", 1_500_000_000, 20_000_000, 4), ClockShift("app", -SECOND, 0, 4)

    assert clock_sentence(behind) == "the clock of app is behind by 1.500 s, give or take 0.020 s: its spans were moved"
    assert clock_sentence(ahead) == "the clock of app is ahead by 1.000 s, give or take 0.000 s: its spans were moved"
    assert clock_sentence(ClockShift("app", None, 0, 1)) == (
        "the clock of app jumped: its spans of 1 request are left out"
    )
