"""A suite's result travels: what is expected counts as passed, and no text of it is obeyed by what reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

import junitparser
import pytest
from hostile_text import HOSTILE
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from typer.testing import CliRunner

from chaoskit.analysis.suite_result import SUMMARY, SuiteResult, SuiteRunResult, as_json
from chaoskit.cli.app import app
from chaoskit.report.suite import summary, why
from chaoskit.report.suite_documents import SUITE_DOCUMENTS

RUNS = (
    SuiteRunResult(name="met", file="a.yaml", state="ended", code=0, seconds=3, reason="it holds"),
    SuiteRunResult(name="weak", file="a.yaml", state="ended", code=1, expect="broken", reason="it breaks"),
    SuiteRunResult(name="gone", file="a.yaml", state="ended", code=0, expect="broken", reason="it holds", owner="me"),
    SuiteRunResult(name="broken", file="a.yaml", state="ended", code=1, reason="it breaks", directory="broken"),
    SuiteRunResult(name="unsure", file="a.yaml", state="ended", code=5, reason="too few"),
    SuiteRunResult(name="refused", file="a.yaml", state="ended", code=3, reason="no kernel"),
    SuiteRunResult(name="left", file="a.yaml", state="not-run", reason="the budget was used up"),
)

REST = SuiteRunResult(name="rest", file="a.yaml", state="not-selected")

PARSER: Callable[[str], Iterable[Metric]] = text_string_to_metric_families


def suite(runs: tuple[SuiteRunResult, ...] = RUNS, **more: object) -> SuiteResult:
    """A finished suite of these runs."""
    fixed = {"name": "small", "file": "g.yaml", "fingerprint": "x", "started": "2026-11-29T22:00:00+00:00"}
    fail_on = ("broken", "undecided", "error", "not-run")
    return SuiteResult.model_validate({**fixed, "status": "finished", "fail_on": fail_on, "runs": runs, **more})


def written(name: str, found: SuiteResult) -> bytes:
    """The document."""
    file = BytesIO()
    SUITE_DOCUMENTS.formats[name].write(found, file)
    return file.getvalue()


def test_junit_passes_only_what_is_as_expected() -> None:
    """Undecided and not run is skipped; what is suddenly met has failed; junitparser reads it."""
    (found,) = junitparser.JUnitXml.fromstring(written("junit", suite(errors=("after: no",))))

    kinds = {case.name: [type(each).__name__ for each in case.result] for case in found}
    assert kinds == {
        "met": [],
        "weak": [],
        "gone": ["Failure"],
        "broken": ["Failure"],
        "unsure": ["Skipped"],
        "refused": ["Error"],
        "left": ["Skipped"],
        "the commands of the suite": ["Error"],
    }
    assert (found.tests, found.failures, found.errors, found.skipped) == (8, 2, 2, 2)


@pytest.mark.parametrize("form", ["console", "markdown", "junit", "html"])
def test_a_question_is_not_called_expected(form: str) -> None:
    """Where the suite has no hypothesis."""
    asked = RUNS[3].model_copy(update={"question": "Is it so?"})
    claimed = asked.model_copy(update={"name": "claimed", "hypothesis": "It holds."})

    lines = [" ".join(line.split()) for line in written(form, suite((asked, claimed))).decode().splitlines()]

    told = "\n".join(lines).replace(":", "")
    assert "question Is it so?" in told
    assert "expected It holds." in told
    assert "expected Is it so?" not in told
    assert told.count("Is it so?") == 1


def test_markdown_begins_with_the_verdict_and_what_is_not_as_expected() -> None:
    """The rest is folded."""
    text = written("markdown", suite()).decode()

    first, line = text.split("\n\n")[:2]
    assert first == "## ❌ ERROR small"
    assert line.startswith("**5 of 7 runs not as expected: ")
    assert text.index("`gone`: met, and broken is expected") < text.index("<details>")
    assert "- owner: me" in text


@pytest.mark.parametrize(
    ("runs", "errors", "line"),
    [
        (RUNS[:2], (), "all 2 runs as expected: 1 broken, 1 met"),
        (
            RUNS[:4],
            (),
            "2 of 4 runs not as expected: 1 broken, 1 met where broken is expected; 2 as expected: 1 broken, 1 met",
        ),
        (RUNS[6:], (), "1 of 1 run not as expected: 1 not run"),
        ((*RUNS[:1], REST), (), "the run ended as expected: 1 met; 1 not selected"),
        (
            RUNS[:1],
            ("after: x: ended with 1",),
            "the run ended as expected: 1 met. A command of the suite failed: after: x: ",
        ),
        (RUNS[:1], ("before: x", "after: x"), "A command of the suite failed: before: x, and 1 more"),
    ],
)
def test_the_summary_counts_the_unexpected_ones_apart(
    runs: tuple[SuiteRunResult, ...], errors: tuple[str, ...], line: str
) -> None:
    """And names what was not selected, and the command that failed."""
    assert line in summary(suite(runs, errors=errors))


def test_what_is_suddenly_met_is_explained() -> None:
    """A met objective alone is no reason for a failure."""
    assert why(RUNS[1]) == "it breaks"
    assert why(RUNS[2]).startswith("it was expected to be broken, and every objective is met: it holds")


def test_json_is_the_summary_and_reads_back() -> None:
    """With the exit code, and whether each run is as expected."""
    found = suite()

    told = json.loads(written("json", found))

    assert (told["exit_code"], told["runs"][2]["is_as_expected"]) == (3, False)
    assert SuiteResult.model_validate(told) == found


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", SUITE_DOCUMENTS.formats)
def test_no_text_is_obeyed(name: str, text: str) -> None:
    """What a run said, and what a suite file says, stands in each document as text."""
    said = text.encode(errors="backslashreplace").decode()
    run = SuiteRunResult(
        name="x", file=said, state="ended", code=1, reason=said, owner=said, hypothesis=said, directory="x"
    )

    shown = written(name, suite((run,), errors=(said,), owner=said)).decode()

    assert not {sign for sign in "\x00\x1b\x07\x9b\u202e" if sign in shown}
    assert len(shown) < 12 << 20
    match name:
        case "markdown":
            assert "<script" not in shown
            assert "@everyone" not in shown
            assert "\n::" not in shown
        case "junit":
            assert len(list(junitparser.JUnitXml.fromstring(shown.encode()))) == 1
        case "json":
            assert json.loads(shown)["runs"][0]["reason"] == said
        case "html":
            assert "<script" not in shown
            assert "<img" not in shown
        case "openmetrics":
            assert list(PARSER(shown))


def test_the_page_has_a_row_for_each_run_and_leads_to_its_own(tmp_path: Path) -> None:
    """What did not end as expected stands first; a link stands only where a page was written, and fits its place."""
    folder = tmp_path / "gamedays" / "weekly"
    (folder / "broken").mkdir(parents=True)
    (folder / "broken" / "report.html").touch()
    (folder / "broken" / "result.json").write_text('{"headline": "the network broke it"}')
    (folder / SUMMARY).write_text(as_json(suite((RUNS[0], RUNS[3], RUNS[2]))))
    outside = tmp_path / "page.html"

    for out in (folder / "report.html", outside):
        assert CliRunner().invoke(app, ["report", str(folder), "-o", str(out)]).exit_code == 1

    text = (folder / "report.html").read_text()
    assert text.count('<tr><th scope="row">') == 3
    assert text.index(">broken</a>") < text.index(">gone</th>") < text.index(">met</th>")
    assert text.count("<a href=") == 1
    assert '<a href="broken/report.html">broken</a>' in text
    assert '<a href="gamedays/weekly/broken/report.html">broken</a>' in outside.read_text()
    assert "<script" not in text
    assert "MET, AND BROKEN IS EXPECTED" in text


def test_the_headline_of_a_run_as_expected_is_that_of_its_result(tmp_path: Path) -> None:
    """A directory outside of the suite's folder is not read."""
    (tmp_path / "weak").mkdir()
    (tmp_path / "weak" / "result.json").write_text('{"headline": "the network broke it"}')
    weak = RUNS[1].model_copy(update={"directory": "weak"})

    inside = written("html", suite((weak,), folder=str(tmp_path))).decode()
    elsewhere = written("html", suite((weak,), folder=str(tmp_path / "weak"))).decode()

    assert "the network broke it" in inside
    assert "the network broke it" not in elsewhere


def test_metrics_are_read_by_prometheus_client() -> None:
    """Each run's outcome and whether it was expected; the exit code is the suite's."""
    found = {
        (sample.name, sample.labels.get("run", "")): sample.value
        for family in PARSER(written("openmetrics", suite()).decode())
        for sample in family.samples
        if "outcome" not in sample.name
    }

    assert found["chaoskit_suite_exit_code", ""] == 3
    assert found["chaoskit_suite_run_as_expected", "weak"] == 1
    assert found["chaoskit_suite_run_as_expected", "gone"] == 0
    assert found["chaoskit_suite_run_exit_code", "unsure"] == 5
    assert ("chaoskit_suite_run_exit_code", "left") not in found
    assert b"# TYPE chaoskit_suite_run_as_expected gauge" in written("prometheus", suite())


def test_report_shows_the_folder_of_a_suite(tmp_path: Path) -> None:
    """In its formats, with its exit code; of another format it says what to type; a running one is told so."""
    (tmp_path / SUMMARY).write_text(as_json(suite()))
    call = CliRunner().invoke

    assert call(app, ["report", str(tmp_path)]).exit_code == 3
    assert call(app, ["report", str(tmp_path), "--format", "junit", "-o", str(tmp_path / "j.xml")]).exit_code == 3
    assert (tmp_path / "j.xml").read_bytes() == written("junit", suite())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").touch()
    other = call(app, ["report", str(tmp_path), "--format", "csv"])
    assert f"chaoskit report {tmp_path / 'broken'} --format csv" in str(other.exception)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON"),
        ("{}", "name"),
        ('{"schema_version": 2}', "another schema than this chaoskit's"),
        ("[]", "not a JSON object"),
    ],
)
def test_a_damaged_summary_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    """With its file."""
    (tmp_path / SUMMARY).write_text(text)

    answer = CliRunner().invoke(app, ["report", str(tmp_path)])

    assert SUMMARY in str(answer.exception)
    assert sentence in str(answer.exception)
