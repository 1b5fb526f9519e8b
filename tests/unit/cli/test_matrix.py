"""Tests the commands with a file that has a matrix."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from made_runs import Made, plan
from typer.testing import CliRunner, Result

from chaoskit.analysis.matrix import MatrixResult
from chaoskit.cli.app import app
from chaoskit.errors import RefusedError, SpecError

FILE = """\
name: sizes
question: Which sizes?
stage: {lab: edge}
workload: {request-rate: 10/s}
faults:
  slow: {link: client-router, direction: down, netem: {delay: 30ms}}
timeline: [{baseline: 10s}, {slow: 20s}]
matrix:
  workload.prompt-size: [200B, 64kB]
  faults.slow.netem.delay: [10ms, 20ms]
"""
FIRST, LAST = "prompt-size=200B,delay=10ms", "prompt-size=64kB,delay=20ms"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An experiment with four variants."""
    path = tmp_path / "sizes.yaml"
    path.write_text(FILE)
    return path


def chaoskit(*words: str | Path) -> Result:
    """A command, as it is typed."""
    return CliRunner().invoke(app, [str(word) for word in words])


def test_validate_counts_the_variants(file: Path) -> None:
    """A warning is said once, however many variants have it."""
    file.write_text(FILE.replace("baseline: 10s}, {slow: 20s", "baseline: 10s"))

    told = chaoskit("validate", file)

    assert told.stdout.splitlines() == [
        f"{file}: ok, sizes, 4 variants, 1 warning",
        "  warning: faults.slow: no phase of the timeline uses it",
    ]


def test_validate_tells_a_mistake_at_its_entry(file: Path) -> None:
    """File, line, the matrix's own path."""
    file.write_text(FILE.replace("20ms]", "20]"))

    told = chaoskit("validate", file)

    assert isinstance(told.exception, SpecError)
    assert str(told.exception).startswith(f"{file}:10: matrix.faults.slow.netem.delay.1: '20' has no unit")


def test_plan_shows_the_first_variant_and_names_them_all(file: Path) -> None:
    """How many, how long in all, which one this is, and what to type for another."""
    told = chaoskit("plan", file)

    assert "delay 10ms" in told.stdout
    assert "The variants (4, 2 min in all)" in told.stdout
    assert f"  {FIRST}  the plan above\n" in told.stdout
    assert f"  {LAST}\n" in told.stdout
    assert "--variant prompt-size=200B,delay=20ms\n" in told.stdout


def test_plan_shows_any_variant(file: Path) -> None:
    """By its name; one that there is not is answered with the nearest."""
    told, wrong = chaoskit("plan", file, "--variant", LAST), chaoskit("plan", file, "--variant", LAST[:-1])

    assert "64kB prompts" in " ".join(told.stdout.split())
    assert "delay 20ms" in told.stdout
    assert f"  {LAST}  the plan above\n" in told.stdout
    assert f"did you mean {LAST}?" in str(wrong.exception)


def test_a_plan_as_json_stays_json(file: Path) -> None:
    """Which variant it is of is said beside it, on standard error."""
    told = chaoskit("plan", file, "--json")

    assert json.loads(told.stdout)["workload"]["prompt_size"] == 200
    assert f"{FIRST}  the plan above" in told.stderr


def test_exec_wants_one_of_them(file: Path) -> None:
    """It says what to type."""
    told = chaoskit("exec", file, "--", "true")

    assert isinstance(told.exception, SpecError)
    assert f"has a matrix of 4 variants, and one is expected: --variant {FIRST}" in str(told.exception)


def test_run_knows_its_variants(file: Path, tmp_path: Path) -> None:
    """A name that there is not is answered before anything is made."""
    told = chaoskit("run", file, "--variant", "prompt-size=1B", "--out", tmp_path / "run")

    assert isinstance(told.exception, SpecError)
    assert not (tmp_path / "run").exists()


def test_one_run_has_no_jobs(file: Path, tmp_path: Path) -> None:
    """Where a single variant runs there is nothing to run beside it."""
    told = chaoskit("run", file, "--variant", FIRST, "--jobs", "2", "--out", tmp_path / "run")

    assert isinstance(told.exception, SpecError)
    assert "remove --jobs" in str(told.exception)
    assert not (tmp_path / "run").exists()


def test_a_machine_that_cannot_run_it_is_refused_before_the_first_variant(file: Path, tmp_path: Path) -> None:
    """Nothing is made, and nothing was run."""
    told = chaoskit("run", file, "--kernel", "/no/such/kernel", "--out", tmp_path / "run")

    assert isinstance(told.exception, RefusedError)
    assert not (tmp_path / "run").exists()


def test_the_schema_has_it(file: Path) -> None:
    """An editor takes a matrix of lists, and nothing else."""
    schema = json.loads(chaoskit("schema").stdout)
    words = yaml.safe_load(file.read_text())

    jsonschema.validate(words, schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(words | {"matrix": {"seed": 1}}, schema)


def test_report_shows_a_whole_matrix(file: Path, tmp_path: Path) -> None:
    """From the folder of all of them: side by side, as JSON, and with the exit code of the worst."""
    run = tmp_path / "run"
    for name, objective in [(FIRST, "ttft_p50 < 1ms"), (LAST, "ttft_p50 < 1s")]:
        Made(plan([objective])).phases().many(0, 29_000, 500).write(run / name)
    file.rename(run / "experiment.yaml")

    shown, told = chaoskit("report", run), chaoskit("report", run, "--format", "json")

    found = MatrixResult.model_validate_json(told.stdout)
    assert shown.exit_code == told.exit_code == found.exit_code == 130  # nobody wrote down how it ended
    assert [row.is_not_run for row in found.variants] == [False, True, True, False]
    assert "of 4 variants 1 broken, 2 not run, 1 met" in shown.stdout
    assert chaoskit("report", run / FIRST).exit_code == 1
