"""`chaoskit report RUNDIR`."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, plan
from typer.testing import CliRunner

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.cli.app import app
from chaoskit.errors import SpecError


def run(tmp_path: Path, *objectives: str) -> Path:
    """A run directory."""
    made = Made(plan(objectives)).phases().many(0, 30_000, 100).counters("wifi", 900, 100, 10_000, 20_000)
    return made.write(tmp_path / "run")


@pytest.mark.parametrize(
    ("objective", "word", "code"),
    [
        ("ttft_p50 < 1s during baseline", "MET", 0),
        ("ttft_p50 < 1ms during baseline", "BROKEN", 1),
        ("ttft_p99 < 1s during baseline", "UNDECIDED", 5),
    ],
)
def test_the_verdict_is_printed_and_returned(tmp_path: Path, objective: str, word: str, code: int) -> None:
    """The last lines and the exit code agree."""
    told = CliRunner().invoke(app, ["report", str(run(tmp_path, objective))])

    assert told.exit_code == code
    assert word in told.stdout


def test_json_is_the_whole_result(tmp_path: Path) -> None:
    """Standard output has what result.json would have, and nothing else."""
    directory = run(tmp_path)

    told = CliRunner().invoke(app, ["report", str(directory), "--format", "json"])

    assert Result.model_validate_json(told.stdout) == analyse(directory).model_copy(update={"run": ""})
    assert told.exit_code == 0


def test_another_directory_is_refused(tmp_path: Path) -> None:
    """It is refused with a sentence that names it."""
    told = CliRunner().invoke(app, ["report", str(tmp_path)])

    assert isinstance(told.exception, SpecError)
    assert str(tmp_path) in str(told.exception)
