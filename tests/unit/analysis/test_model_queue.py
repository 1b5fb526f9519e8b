"""The queue of a model is shown by phase, beside a gauge that says nothing of it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from made_runs import Made, ns, plan
from rich.console import Console

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.stalls import attribution, verdicts
from chaoskit.analysis.chains.queue_result import ModelPhase
from chaoskit.analysis.matrix import MatrixResult, VariantResult
from chaoskit.analysis.result import Result
from chaoskit.analysis.streams.assemble import assemble_streams
from chaoskit.analysis.streams.columns import signs_of_life, token_columns
from chaoskit.records.model import Request, SocketRead
from chaoskit.records.spans import ModelState, Span
from chaoskit.report import matrix as matrix_report
from chaoskit.report.console import render
from chaoskit.report.result_json import as_json

SECOND = 1000  # ms of `ns`
MS = 10**6


def state(at: float, waiting: int = 0, busy: float = 0, preemptions: int = 0, host: str = "model") -> ModelState:
    """A sample at `at` s; `busy` in s."""
    return ModelState(
        host=host,
        at=ns(at * SECOND),
        running=4,
        waiting=waiting,
        kv_used=400,
        kv_size=1000,
        busy=round(busy * 10**9),
        preemptions=preemptions,
        tokens=round(1000 * busy),
    )


def span(number: int, at: float, first: float | None, error: str | None = None) -> Span:
    """A request at `at` s whose first token came after `first` ms."""
    attributes = {} if first is None else {"chaoskit.first_token_ns": round(first * MS)}
    begin = ns(at * SECOND)
    return Span("ab" * 16, f"{number:016x}", None, "model", "chat", "model", begin, begin + MS, error, {**attributes})


def saturated() -> Made:
    """Ten seconds of baseline at 1/s, ten of wifi at 3/s with a queue, ten of recovery at 1/s; busy all the time."""
    made = Made(plan()).phases()
    for second in range(31):
        is_full = 10 <= second < 20
        waiting = (second - 10) * 2 if is_full else 0
        made.records.append(state(second, waiting, 0.98 * second, 3 * max(0, min(second, 20) - 10)))
    starts = [*range(10), *(10 + each / 3 for each in range(30)), *range(20, 30)]
    for number, at in enumerate(starts):
        made.records.append(span(number, at, 900 if 10 <= at < 20 else 100 + number % 2))
    made.records.append(span(99, 15, None, "503"))
    return made


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """The result of that run."""
    return analyse(saturated().write(tmp_path / "run"))


def phase(result: Result, name: str) -> ModelPhase:
    """The one queue in this phase."""
    (queue,) = result.models
    return next(each for each in queue.phases if each.name == name)


def test_each_phase_has_its_queue(result: Result) -> None:
    """Samples and counters of the phase, requests that began in it, and first tokens by the server."""
    calm, full = phase(result, "baseline"), phase(result, "wifi")

    assert calm.busy == pytest.approx(0.98)
    assert full.busy == pytest.approx(0.98)
    assert (calm.waiting, calm.waiting_max, full.waiting, full.waiting_max) == (0, 0, 9, 18)
    assert (calm.preemptions, full.preemptions, phase(result, "recovery").preemptions) == (0, 30, 0)
    assert (calm.requests_per_second, full.requests_per_second) == (1.0, 3.1)
    assert (calm.first_token_p95_ms, full.first_token_p95_ms) == (101, 900)
    assert (calm.kv_usage, calm.running) == (0.4, 4)
    assert full.computed_per_second == pytest.approx(980)
    assert (calm.refused, full.refused) == (0, 1)


def test_the_gauge_that_hides_it_is_beside_it(result: Result) -> None:
    """The sentence compares the phases with the shortest and the longest queue."""
    (queue,) = result.models

    assert queue.sentence == (
        "GPU busy 98 % during baseline and 98 % during wifi: says nothing; requests 1/s -> 3.1/s, waiting 0 -> 9, "
        "preemptions 0 -> 30, first token p95 101 ms -> 900 ms"
    )


def test_a_gauge_that_tells_is_not_scolded(tmp_path: Path) -> None:
    """Where the GPU was idle before it does say something."""
    made = Made(plan()).phases()
    made.records += [state(second, busy=max(0, second - 10)) for second in range(31)]
    made.records += [span(0, 5, 100), span(1, 15, 900)]
    (queue,) = analyse(made.write(tmp_path / "run")).models

    assert queue.sentence.startswith("GPU busy 0 % during baseline and 100 % during wifi; ")
    assert "says nothing" not in queue.sentence


def test_a_server_that_was_started_again_counts_on(tmp_path: Path) -> None:
    """Its counters begin at 0 again: nothing is negative, and nothing is lost."""
    made = Made(plan()).phases()
    made.records += [state(second, busy=second % 15, preemptions=second % 15) for second in range(30)]
    found = analyse(made.write(tmp_path / "run"))

    assert phase(found, "wifi").preemptions == 9
    assert phase(found, "wifi").busy == pytest.approx(0.9)


def test_the_screen_and_the_file_have_it(result: Result) -> None:
    """A row for each phase on 80 columns, and every number in the JSON."""
    console = Console(width=80, record=True, file=StringIO())
    render(result, console)
    shown = console.export_text()
    document = json.loads(as_json(result))

    row = next(line for line in shown.splitlines() if "wifi" in line and "98 %" in line and "GPU" not in line)
    assert row.split() == ["wifi", "3.1/s", "98", "%", "4", "9", "(18)", "40", "%", "30", "900", "ms"]
    assert "1 refused during wifi" in shown
    assert "says nothing" in " ".join(shown.split())
    assert document["models"][0]["phases"][1]["waiting_max"] == 18


def test_a_matrix_compares_its_variants(result: Result, tmp_path: Path) -> None:
    """A row for each variant and phase, and the gauges of the best and the worst of all."""
    calm = Made(plan(timeline="[{baseline: 10s}]")).phases()
    calm.records += [state(second, busy=0.9 * second) for second in range(11)]
    calm.records += [span(number, number, 90) for number in range(10)]
    variants = tuple(
        VariantResult(name=f"kv={value}", values=(value,), result=each)
        for value, each in (("400", analyse(calm.write(tmp_path / "calm"))), ("30", result))
    )
    matrix = MatrixResult(
        chaoskit="0", name="m", question="?", status="finished", detail="", axes=("kv",), variants=variants
    )
    console = Console(width=100, record=True, file=StringIO())
    matrix_report.render(matrix, console)
    shown = console.export_text()

    rows = [line.split() for line in shown.splitlines() if line.split()[:1] in (["400"], ["30"])]
    assert ["400", "baseline", "1/s", "90", "%", "4", "0", "(0)", "40", "%", "0", "90", "ms"] in rows
    assert ["30", "wifi", "3.1/s", "98", "%", "4", "9", "(18)", "40", "%", "30", "900", "ms"] in rows
    assert (
        "GPU busy 90 % with kv 400 during baseline and 98 % with kv 30 during wifi: says nothing; requests 1/s -> 3.1/s"
    ) in " ".join(shown.split())


def test_a_matrix_on_a_narrow_screen_cuts_no_number(result: Result) -> None:
    """Where names of variants and numbers do not fit side by side, each variant has a line and a table of its own."""
    variants = tuple(
        VariantResult(name=f"name=gradient2,sampled={value}", values=("gradient2", value), result=result)
        for value in ("answer", "first-token")
    )
    axes = ("name", "sampled")
    matrix = MatrixResult(
        chaoskit="0", name="m", question="?", status="finished", detail="", axes=axes, variants=variants
    )
    console = Console(width=80, record=True, file=StringIO())
    matrix_report.render(matrix, console)
    shown = console.export_text().partition("Model queue")[2]

    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "…" not in shown
    assert lines.count("wifi 3.1/s 98 % 4 9 (18) 40 % 30 900 ms") == 2
    assert "name gradient2 and sampled answer" in lines
    assert "name gradient2 and sampled first-token" in lines


def test_a_run_without_an_engine_has_none(tmp_path: Path) -> None:
    """No section, no table."""
    found = analyse(Made(plan()).phases().write(tmp_path / "run"))

    assert found.models == ()


@pytest.mark.parametrize(("computed", "stalls"), [(None, 0), (3, 1)])
def test_what_an_engine_plans_is_waited_for(computed: int | None, stalls: int) -> None:
    """A freeze of 500 ms between two steps is nothing where it was scripted, else the server's stall."""
    made = Made(None)
    made.stream(0, ended=600, computed=computed)
    for number, due in enumerate((0, 20, 520)):
        made.records.append(made.read(0, number, due + 1, seq=number, due=ns(due), sent=ns(due)))
    streams = assemble_streams(
        (record for record in made.records if isinstance(record, Request)),
        token_columns(record for record in made.records if isinstance(record, SocketRead)),
        signs_of_life(()),
    )
    found = attribution(verdicts(streams.gaps, StreamEvidence()))

    assert found.stalls == stalls
    assert found.server_ms == pytest.approx(300 * stalls)
    assert found.network_ms == found.client_ms == found.unknown_ms == 0
