"""Whether a run held is told by what it measured, and not where it measured nothing that counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.limits.outcomes import outcome_of, read_outcome
from chaoskit.analysis.result import Result
from chaoskit.report.result_json import write_result

FAST, SLOW = "ttft_p50 during wifi < 300ms", "ttft_p50 during wifi < 100ms"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a few streams, whose first tokens take 200 ms under the fault; a few decide nothing."""
    return tmp_path / "run"


def measured(run: Path, *objectives: str) -> Result:
    """Its result, with these objectives."""
    made = Made(plan(objectives=objectives)).phases()
    for begin in (1000, 3000, 5000, 11_000, 13_000, 15_000):
        made.stream(begin, [begin + 200, begin + 220, begin + 240])
    return analyse(made.write(run))


def test_the_measured_value_decides_where_the_interval_does_not(run: Path) -> None:
    """Three streams are too few for a verdict, and the search has many runs."""
    result = measured(run, FAST, SLOW)

    found = outcome_of(result)

    assert [each.verdict for each in result.objectives] == ["undecided", "undecided"]
    assert (found.held, found.broken) == (False, (SLOW,))
    assert outcome_of(measured(run.with_name("other"), FAST)).held is True


def test_a_run_is_read_from_its_directory(run: Path) -> None:
    """With how many requests it sent."""
    write_result(measured(run, FAST), run)

    found = read_outcome(run)

    assert (found.held, found.requests) == (True, 6)


def test_a_result_that_is_missing_or_damaged_is_no_outcome(run: Path) -> None:
    """It says which file, and ends nothing."""
    run.mkdir()
    missing = read_outcome(run)
    (run / "result.json").write_text("{}")

    damaged = read_outcome(run)

    assert (missing.held, damaged.held) == (None, None)
    assert "result.json is missing" in missing.why
    assert "result.json" in damaged.why


def test_an_overloaded_client_is_no_outcome(run: Path) -> None:
    """It measured itself."""
    result = measured(run, FAST)
    late = result.model_copy(update={"health": result.health.model_copy(update={"overloaded": True})})

    assert outcome_of(late).held is None


def test_an_objective_without_a_value_is_no_outcome(run: Path) -> None:
    """Unless another one is broken: then the run broke."""
    nothing = "ttft_p50 during recovery < 300ms"

    assert outcome_of(measured(run, FAST, nothing)).held is None
    assert outcome_of(measured(run.with_name("other"), SLOW, nothing)).held is False
