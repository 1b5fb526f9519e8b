"""Stalls and waiting agree about what the server planned, and their thresholds can be set."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from made_runs import Made, ns, plan
from rich.console import Console

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Metrics, Result
from chaoskit.planning.probe_plan import ProbePlan
from chaoskit.records.directory import PROBE
from chaoskit.report.console import render
from chaoskit.spec.workload import Workload

TOKENS = 40


def paced(pace: float, is_stamped: bool, late: float = 0) -> Made:
    """Twenty streams of a server with this pace in ms, whose tenth token comes `late` and those after it on time."""
    made = Made(plan=None)
    for index in range(20):
        begin = 100 * index
        times = [begin + pace * n + (late if n == 9 else 0) for n in range(TOKENS)]
        stream = made.stream(begin, times)
        if is_stamped:
            del made.records[-TOKENS:]
            planned = [ns(begin + pace * n) for n in range(TOKENS)]
            made.records += [
                made.read(stream, n, at, seq=n, due=due, sent=due)
                for n, (at, due) in enumerate(zip(times, planned, strict=True))
            ]
    return made


def result_of(made: Made, run: Path, **more: object) -> Result:
    """The result of a probe with this workload, as its directory says."""
    made.write(run)
    work = Workload.model_validate({"max-concurrency": 1, **more})
    nothing = {"maxseg": None, "congestion_control": None}
    asked = ProbePlan(
        **{"chaoskit": "1", "url": "http://192.0.2.1", "model": "m", **nothing, "workload": work},
        **{"requests": 20, "max_time": 10**9, "objectives": (), "seed": 0},
    )
    (run / PROBE).write_text(asked.model_dump_json())
    return analyse(run)


def overall(made: Made, folder: Path, **more: object) -> Metrics:
    """The metrics of this run."""
    return result_of(made, folder / "run", **more).overall


@pytest.mark.parametrize("pace", [60, 150, 250, 1500])
def test_a_pace_that_the_server_planned_is_neither(pace: float, tmp_path: Path) -> None:
    """Whatever its pace, a server that stamps its events has no stall and nobody waits; its pace is told."""
    found = overall(paced(pace, is_stamped=True), tmp_path)

    assert (found.stalls, found.stall_ratio.value) == (0, 0)
    assert found.planned_pace.p50_ms == pytest.approx(pace)


def test_of_another_server_both_are_of_the_gaps_as_received(tmp_path: Path) -> None:
    """At 250 ms a token every gap is longer than 200 ms, and a reader of 20 tokens/s waits for 80 % of the time."""
    found = overall(paced(250, is_stamped=False), tmp_path)

    assert found.stalls == found.gaps == 20 * (TOKENS - 1)
    assert found.stall_ratio.value == pytest.approx(0.8)
    assert found.planned_pace.p50_ms is None
    assert found.planned_pace.missing == "only the reference server tells what it planned"


def test_lateness_on_top_of_the_plan_is_both(tmp_path: Path) -> None:
    """A token that comes 240 ms after its planned time is a stall, and a reader waits these 240 ms, no more."""
    found = overall(paced(250, is_stamped=True, late=240), tmp_path)

    assert found.stalls == 20
    assert found.stall_ratio.value == pytest.approx(240 / (250 * (TOKENS - 1)))


def test_the_thresholds_of_the_workload_decide(tmp_path: Path) -> None:
    """With a threshold of 1 s and a reader of 4 tokens/s, 250 ms a token is neither a stall nor waiting."""
    found = overall(paced(250, is_stamped=False), tmp_path / "a", **{"stall-threshold": "1s", "reading-rate": "4/s"})
    tight = overall(paced(60, is_stamped=False), tmp_path / "b", **{"stall-threshold": "50ms", "reading-rate": "50/s"})

    assert (found.stalls, found.stall_time_ms, found.stall_ratio.value) == (0, 0, 0)
    assert tight.stalls == tight.gaps
    assert tight.stall_ratio.value == pytest.approx(40 / 60)


def test_the_thresholds_of_a_plan_are_used_again(tmp_path: Path) -> None:
    """They are in the run directory: the analysis of a copy uses them without being told."""
    made = Made(plan(more_workload=", stall-threshold: 70ms, reading-rate: 100/s")).phases().many(0, 9000, 100, pace=80)

    found = analyse(made.write(tmp_path / "run"))

    assert (found.stall_threshold_ms, found.reading_rate) == (70, 100)
    assert found.overall.stalls == found.overall.gaps
    assert found.overall.stall_ratio.value == pytest.approx(70 / 80)


def chunked(usage: int | None) -> Made:
    """Streams with ten tokens in each event, 400 ms apart; of the first stream the server told its usage."""
    made = Made(plan=None)
    for index in range(10):
        told = usage if index == 0 else None
        made.stream(100 * index, [100 * index + 400 * n for n in range(10)], usage=told)
    return made


def test_an_event_of_several_tokens_takes_longer_to_read(tmp_path: Path) -> None:
    """Ten tokens take a reader of 20 tokens/s half a second: nobody waits, where one server's usage told it."""
    told, silent = overall(chunked(100), tmp_path / "a"), overall(chunked(None), tmp_path / "b")

    assert told.stall_ratio.value == 0
    assert silent.stall_ratio.value == pytest.approx(350 / 400)


@pytest.mark.parametrize("usage", [0, 10**15])
def test_a_usage_that_cannot_be_is_harmless(usage: int, tmp_path: Path) -> None:
    """A server that counts nothing, or more than everything, changes no other number."""
    found = overall(chunked(usage), tmp_path)

    assert 0 <= (found.stall_ratio.value or 0) <= 1
    assert found.stalls == found.gaps


def shown(result: Result, width: int) -> str:
    """The report at this width."""
    file = io.StringIO()
    render(result, Console(file=file, width=width))
    return file.getvalue()


def test_the_thresholds_stand_beside_their_words(tmp_path: Path) -> None:
    """In the summary of a probe, in the stall attribution, and in both widths of a table."""
    probe = result_of(paced(250, is_stamped=False), tmp_path / "a", **{"stall-threshold": "100ms"})
    slow = result_of(paced(250, is_stamped=True), tmp_path / "b")
    table = analyse(Made().phases().many(0, 9500, 100).many(10_000, 19_500, 100).write(tmp_path / "c"))

    assert "stalls > 100 ms 240/min, waiting at 20 tokens/s 80 %" in shown(probe, 100)
    assert "beyond 100 ms: unknown 100 %" in shown(probe, 100)
    assert "server's own pace" not in shown(probe, 100)
    own = "the server's own pace, as it planned: 250 ms per token (p50); that is neither a stall nor waiting"
    assert own in shown(slow, 120)
    assert "waiting at 20 tokens/s  " in shown(table, 200)
    lines = [line[:12].strip() for line in shown(table, 60).splitlines()]
    assert [lines[lines.index(word) + 1] for word in ("stalls", "waiting")] == ["> 200 ms", "at 20/s"]


def test_tokens_are_the_servers_count(tmp_path: Path) -> None:
    """Ten tokens in an event every 400 ms: 40 ms a token, 25 tokens/s; where it told none, an event is a token."""
    told, silent = result_of(chunked(100), tmp_path / "a"), result_of(chunked(None), tmp_path / "b")

    assert told.tokens_per_event == 10
    assert (told.overall.events, told.overall.tokens) == (100, 1000)
    assert told.overall.tpot.p50_ms == pytest.approx(9 * 400 / 99)
    assert told.vllm is not None
    assert told.vllm.tokens == 1000
    assert told.vllm.times["median_tpot_ms"] == pytest.approx(9 * 400 / 99)
    assert silent.tokens_per_event is None
    assert (silent.overall.events, silent.overall.tokens) == (100, 100)
    assert silent.overall.tpot.p50_ms == pytest.approx(400)


@pytest.mark.parametrize("usage", [50, 100])
def test_the_report_says_what_is_counted(usage: int, tmp_path: Path) -> None:
    """A line names the tokens an event wherever they are not one."""
    out = io.StringIO()
    render(result_of(chunked(usage), tmp_path / "run"), Console(file=out, width=200))

    assert f"{usage / 10:g} tokens an event, by the server's usage" in out.getvalue()


@pytest.mark.parametrize("pace", [190, 199, 200, 201])
def test_a_little_lateness_makes_no_stall(pace: float, tmp_path: Path) -> None:
    """A planned gap of about the threshold that comes 20 ms late is none, however near the threshold it is."""
    assert overall(paced(pace, is_stamped=True, late=20), tmp_path).stalls == 0
