"""The result of a search is shown again from its folder, in every format that it has."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from made_limits import BREAKS, breaks_beyond, prepared, search
from typer.testing import CliRunner

from chaoskit.analysis.limits.limit_result import LimitRun, LimitSearch, load_limit
from chaoskit.analysis.limits.outcomes import RunOutcome
from chaoskit.cli.app import app
from chaoskit.errors import SpecError
from chaoskit.limit.prepared_search import Budget
from chaoskit.report.dose_names import axis_words, dose_words
from chaoskit.report.limit_console import said
from chaoskit.report.limit_documents import LIMIT_DOCUMENTS
from chaoskit.report.limit_tables import dose_rows
from chaoskit.workers.cell import Cell


def test_every_format_is_written(tmp_path: Path) -> None:
    """Of a search that found its limit."""
    found = search(tmp_path, breaks_beyond(2.6)).found

    for document in LIMIT_DOCUMENTS.formats.values():
        file = BytesIO()
        document.write(found, file)
        assert len(file.getvalue()) > 200


def test_a_frontier_is_drawn_with_what_lies_beyond(tmp_path: Path) -> None:
    """One limit in the range, one beyond each end."""
    request = prepared(tmp_path, vary=["faults.wifi.netem.delay=1ms,2ms,3ms"])

    def behaviour(dose: float, cell: Cell) -> RunOutcome:
        limit = {"1ms": 90.0, "2ms": 6.0, "3ms": -1.0}[cell.overrides["faults.wifi.netem.delay"]]
        return RunOutcome(dose <= limit, () if dose <= limit else (BREAKS,))

    found, file = search(tmp_path, behaviour, request=request).found, BytesIO()
    LIMIT_DOCUMENTS.formats["svg"].write(found, file)

    assert [each.estimate.where for each in found.searches if each.estimate] == ["above", "inside", "below"]
    assert all(f"delay={value}ms".encode() in file.getvalue() for value in (1, 2, 3))
    assert b">wifi: loss, %<" in file.getvalue()
    assert b"the limit at each value, with its 95 % interval" in file.getvalue()
    assert found.exit_code == 1


def test_runs_without_an_outcome_are_told_by_kind() -> None:
    """The details of each kind once, however many runs of a dose had it."""
    slow, none = (f"the client was too slow: it was {ms} ms late" for ms in (98, 91)), "ttft_p50 has no value"
    reasons = (*slow, none)
    runs = tuple(
        LimitRun(name=f"run-{number}", dose="1%", place=0.1, seed=number, state="ended", reason=reason)
        for number, reason in enumerate(reasons)
    )

    assert list(dose_rows(LimitSearch(runs=runs))) == [
        (
            *("1%", "", ""),
            "2 runs without an outcome, the first: the client was too slow: it was 98 ms late; no outcome: " + none,
        )
    ]


def test_markdown_has_the_sentence_and_a_row_for_each_dose(tmp_path: Path) -> None:
    """What others wrote is no markup in it."""
    found, file = search(tmp_path, breaks_beyond(2.6)).found, BytesIO()
    doses = {run.dose for run in found.runs}

    LIMIT_DOCUMENTS.formats["markdown"].write(found.model_copy(update={"name": "<b>@all| x"}), file)

    lines = file.getvalue().decode().splitlines()
    assert lines[0] == "## ✅ LIMIT &lt;b&gt;@&#8203;all\\| x"
    assert lines[2].startswith("**holds up to 2.6% loss (")
    assert {line.split()[1] for line in lines if line.startswith("| ") and line[2].isdigit()} == doses


def test_the_report_command_shows_it_again(tmp_path: Path) -> None:
    """With its exit code."""
    search(tmp_path, breaks_beyond(-1.0))

    done = CliRunner().invoke(app, ["report", str(tmp_path / "out"), "--format", "junit"])

    assert done.exit_code == 1
    assert "is broken already at 0% loss" in done.stdout


def test_a_search_that_was_killed_says_so(tmp_path: Path) -> None:
    """Its file says that it runs, and nothing holds its lock."""
    search(tmp_path, breaks_beyond(2.6))
    file = tmp_path / "out" / "limit.json"
    file.write_text(file.read_text().replace('"status": "finished"', '"status": "running"'))

    found = load_limit(tmp_path / "out")

    assert (found.status, found.detail, found.exit_code) == ("interrupted", "killed", 130)
    LIMIT_DOCUMENTS.formats["console"].write(found, shown := BytesIO())
    assert b"go on        --resume --out " in shown.getvalue()


def test_what_is_no_search_or_no_format_is_refused(tmp_path: Path) -> None:
    """With what there is."""
    with pytest.raises(SpecError, match="is no folder of a search"):
        load_limit(tmp_path)
    with pytest.raises(SpecError, match="console, json, markdown, junit, png, svg"):
        LIMIT_DOCUMENTS.chosen(["html"])
    (tmp_path / "limit.json").write_text("{}")
    with pytest.raises(SpecError, match=r"limit\.json"):
        load_limit(tmp_path)


@pytest.mark.parametrize(
    ("path", "dose", "words"),
    [
        ("faults.wifi.netem.loss.gemodel.p", "2%", "2% burst loss"),
        ("faults.hole.1.pmtu.mtu", "1400", "an MTU of 1400"),
        ("workload.max-concurrency", "8", "8 streams at a time"),
        ("timeline.1.wifi", "5s", "5s wifi"),
        ("objectives.1", "{}", "{} objectives.1"),
    ],
)
def test_a_dose_is_told_in_words(path: str, dose: str, words: str) -> None:
    """What it is stands beside it."""
    assert dose_words(path, dose) == words


@pytest.mark.parametrize(
    ("path", "unit", "words"),
    [
        ("faults.wifi.netem.loss.gemodel.p", "%", "wifi: burst loss, %"),
        ("faults.hole.1.pmtu.mtu", "", "hole: MTU"),
        ("stage.hosts.model.reference.token-interval", "ms", "model: token-interval, ms"),
        ("workload.request-rate", "/s", "request rate, /s"),
        ("seed", "", "seed"),
    ],
)
def test_an_axis_says_whose_dose_it_is(path: str, unit: str, words: str) -> None:
    """In words, and in which unit."""
    assert axis_words(path, unit) == words


def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    """After one run the limit may be anywhere."""
    found = search(tmp_path, breaks_beyond(2.6), Budget(1)).found

    assert said(found) == (
        "the limit may still be anywhere: before 0% to beyond 20%; ended by 1 run, the most that --max-runs allows"
    )
