"""A run that may end early: surer intervals everywhere, and what its looks saw in its result and its report."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_runs import Made, ns, plan
from rich.console import Console

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.looks import look
from chaoskit.analysis.result import Result
from chaoskit.analysis.summaries import IntervalEstimate
from chaoskit.planning.model import Plan
from chaoskit.planning.until_decided import looks_of, tail_of
from chaoskit.records.jsonl import to_line
from chaoskit.records.look_record import Look
from chaoskit.report import console

METRICS = (
    *("ttft_p50", "ttft_p95", "ttft_mean", "itl_p50", "itl_mean", "e2el_p90"),
    *("stalls_per_minute", "stall_ratio", "stall_interval_fraction", "goodput", "tokens_per_second"),
    *("interruption_rate", "empty_rate"),
)


def objective(metric: str) -> str:
    """One that says something of the metric."""
    bound = "1s" if metric[:4] in ("ttft", "itl_", "e2el") else "1%" if metric[-4:] in ("atio", "rate", "tion") else "1"
    return f"{metric} < {bound}"


def made(looks: int | None, *objectives: str) -> Made:
    """The same random streams, with stalls and deaths, in a run of so many looks."""
    found: Plan = plan(objectives or [objective(metric) for metric in METRICS])
    if looks is not None:
        found = found.model_copy(update={"looks": looks_of(looks, "as-written")})
    run, drawn = Made(found).phases(), random.Random(7)
    for number in range(280):
        at = 100.0 * number
        stamps, due = [], at
        for _ in range(5):
            due += drawn.lognormvariate(4, 0.8) + 400 * (drawn.random() < 0.1)
            stamps.append(due)
        run.stream(at, stamps, completion="reset" if number % 17 == 0 else "complete")
    return run


def estimated(result: Result) -> Iterator[tuple[str, IntervalEstimate]]:
    """Each interval of a result."""
    yield from ((each.text, each.observed) for each in result.objectives)
    for each in result.comparisons:
        yield f"difference of {each.metric} in {each.phase}", each.difference
        yield f"ratio of {each.metric} in {each.phase}", each.ratio
    for phase in result.phases:
        yield from ((name, value) for name, value in phase.metrics if isinstance(value, IntervalEstimate))


def test_every_interval_is_wider(tmp_path: Path) -> None:
    """Of each metric, difference and ratio; around the same values."""
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    once, often = analyse(made(None).write(tmp_path / "one")), analyse(made(20).write(tmp_path / "many"))

    assert once.level == pytest.approx(0.95)
    assert often.level == pytest.approx(1 - 2 * tail_of(20))
    wider = set()
    for (name, narrow), (_, wide) in zip(estimated(once), estimated(often), strict=True):
        assert narrow.value == wide.value
        if narrow.low is None or narrow.high is None or wide.low is None or wide.high is None:
            continue
        assert wide.low <= narrow.low, name
        assert narrow.high <= wide.high, name
        if (wide.low, wide.high) != (narrow.low, narrow.high):
            wider.add(name)
    assert {objective(metric) for metric in METRICS} <= wider
    assert all(", 95 %: " in each.reason for each in once.objectives)
    assert all(", 99.2 %: " in each.reason for each in often.objectives)


def test_a_look_judges_all_that_there_is(tmp_path: Path) -> None:
    """A run in progress has no outcome and a torn last line."""
    run = made(4)
    run.outcome = None
    run.write(tmp_path)
    with (tmp_path / "requests.jsonl").open("a") as file:
        file.write('{"stream": 99')

    found = look(tmp_path, ns(20_000), 1)

    assert (found.at, found.round) == (ns(20_000), 1)
    assert len([*found.met, *found.broken, *found.undecided]) == len(METRICS)
    assert found.met == tuple(map(objective, ("ttft_p50", "ttft_p95", "ttft_mean", "itl_p50", "itl_mean")))
    assert objective("interruption_rate") in found.broken


def told(run: Made, folder: Path, looks: list[Look]) -> str:
    """What the report says of a run with these looks, without line breaks."""
    run.write(folder)
    (folder / "looks.jsonl").write_text("".join(map(to_line, looks)))
    screen = Console(file=io.StringIO(), width=200)
    console.render(analyse(folder), screen)
    assert isinstance(screen.file, io.StringIO)
    return " ".join(screen.file.getvalue().split())


def test_the_report_tells_each_look(tmp_path: Path) -> None:
    """When it was, what was undecided then, and at which level all intervals are."""
    said = told(made(9), tmp_path, [Look(ns(28_000), 1, ("one",), (), ("two", "three"))])

    assert "Looked once of at most 9: intervals at 98.9 %" in said
    assert "round 1 at 28 s: 1 met, 2 undecided: two; three" in said
    assert "the 98.9 % interval includes no change" in said


def test_the_report_says_that_the_time_was_up(tmp_path: Path) -> None:
    """The result is a look, too."""
    said = told(made(1), tmp_path, [])

    assert "Looked once of at most 1: intervals at 95 %" in said
    assert "the time was up after 1 round; the result is the last look" in said


def test_the_report_says_what_came_after_the_last_look(tmp_path: Path) -> None:
    """Streams that ended after it may leave undecided what was decided."""
    run = made(9, "interruption_rate < 6%")  # it is 1 of 17

    said = told(run, tmp_path, [Look(ns(28_000), 1, ("interruption_rate < 6%",), (), ())])

    assert "all was decided at the last look, and is not with the streams that ended after it; run it again" in said
    assert analyse(tmp_path).exit_code == 5
