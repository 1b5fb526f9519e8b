"""Every command that reads objectives says before anything else which of them cannot be decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from warm import chaoskit

FILE = """\
name: too-short
question: Can it be decided?
stage: {lab: edge}
workload: {request-rate: 2/s, burstiness: 0}
timeline: [{baseline: 20s}]
objectives: [ttft_p95 < 800ms]
"""
TOLD = "ttft_p95 < 800ms: needs 72 streams, gets about 40 in the run; write request-rate: 3.7/s, repeats: 2 or "


@pytest.fixture
def file(tmp_path: Path) -> str:
    """An experiment that is too short for its objective."""
    path = tmp_path / "short.yaml"
    path.write_text(FILE)
    return str(path)


def test_validate_and_plan_say_it_where_they_warn(file: str) -> None:
    """It is a warning among the others, and no mistake: the exit code is 0."""
    checked, planned = chaoskit("validate", file), chaoskit("plan", file)

    assert (checked.returncode, planned.returncode) == (0, 0)
    assert f"  warning: {TOLD}" in checked.stdout
    assert f"warning {TOLD}" in " ".join(planned.stdout.split())


def test_a_plan_in_json_stays_json(file: str) -> None:
    """With --json the warning goes to standard error."""
    planned = chaoskit("plan", "--json", file)

    assert json.loads(planned.stdout)["name"] == "too-short"
    assert planned.stderr.startswith(f"warning: {TOLD}")


def test_a_matrix_says_each_sentence_once(tmp_path: Path) -> None:
    """Variants that lack the same are one warning."""
    path = tmp_path / "short.yaml"
    path.write_text(FILE + "matrix: {stage.ip: [4, 6]}\n")

    checked = chaoskit("validate", str(path))

    assert checked.stdout.count(TOLD) == 1


def test_a_probe_says_it_before_its_first_request() -> None:
    """It is the first line on standard error, and an objective that can be decided is not mentioned."""
    url = ("probe", "http://127.0.0.1:9", "--requests", "2")

    answer = chaoskit(*url, "--objective", "ttft_p95 < 800ms", "--objective", "ttft_max < 3s")

    first = answer.stderr.splitlines()[0]
    assert first.startswith("warning: ttft_p95 < 800ms: needs 72 streams, gets about 2; give --requests 72")
    assert "ttft_max" not in answer.stderr
