"""Answers that end well and yet are empty or short are counted, judged and shown, and are never goodput."""

import io
from pathlib import Path

import pytest
from made_runs import Made, plan
from rich.console import Console

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.report import console

OBJECTIVES = ["empty_rate < 50%", "short_rate < 1%"]
ODD = "content-type text/plain instead of text/event-stream"


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """A baseline of forty streams, of which the first two are empty, the third is short, and one more is odd."""
    run = Made(plan(OBJECTIVES)).phases().many(1000, 9000, 200)
    run.records = [record for record in run.records if getattr(record, "stream", 9) > 3]
    run.count = 0
    run.stream(1000, flag="empty")
    run.stream(1200, flag="empty")
    run.stream(1400, [1500, 1520], flag="short")
    run.stream(1600, [1700, 1720, 1740], remarks=(ODD,))
    run.count = 40
    return analyse(run.write(tmp_path / "run"))


def test_they_are_counted_and_are_no_goodput(result: Result) -> None:
    """They are complete, in no rate of interruptions, in rates of their own, and no goodput."""
    found = result.overall

    assert (found.complete, found.interrupted, found.empty, found.short) == (40, 0, 2, 1)
    assert found.empty_rate.value == pytest.approx(2 / 40)
    assert found.short_rate.value == pytest.approx(1 / 40)
    baseline = result.phase("baseline")
    assert baseline.metrics.goodput.value == pytest.approx(37 / 10)


def test_objectives_can_be_about_them(result: Result) -> None:
    """A rate has an interval, a verdict, and the streams that count against it."""
    empty, short = result.objectives

    assert (empty.verdict, empty.streams) == ("met", 40)
    assert short.verdict in ("broken", "undecided")
    assert short.evidence[0].worst == (2,)


def test_they_are_never_silent(result: Result) -> None:
    """A warning for each kind, and a remark for what was odd, with the streams."""
    screen = Console(width=80, file=io.StringIO())
    with screen.capture() as printed:
        console.render(result, screen)
    shown = " ".join(printed.get().split())

    assert "2 of 40 complete streams ended well without a token; they are no goodput" in shown
    assert "1 of 40 complete streams ended well with far fewer tokens than asked for" in shown
    assert f"1 of 40 streams: {ODD}" in shown
