"""Every result is what the JSON Schema of results says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from made_runs import Made
from random_runs import random_run
from warm import chaoskit

from chaoskit.analysis.analyse import analyse
from chaoskit.conduct.provenance import collect
from chaoskit.report.result_json import as_json
from chaoskit.report.result_schema import result_schema

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "loss-first-token.json"
VALID = jsonschema.Draft202012Validator(result_schema())


@pytest.mark.parametrize("seed", range(6))
def test_a_result_is_valid(seed: int, tmp_path: Path) -> None:
    """Of any run, with what it was made with, and without any request."""
    run = random_run(seed).write(tmp_path / "run")
    (run / "provenance.json").write_text(collect())
    nothing = Made().phases().write(tmp_path / "nothing")

    for directory in (run, nothing):
        VALID.validate(json.loads(as_json(analyse(directory))))


def test_a_word_in_place_of_a_number_is_not_valid() -> None:
    """The shipped example is valid, and no longer when one of its numbers becomes a word."""
    example = json.loads(EXAMPLE.read_text())
    VALID.validate(example)
    example["overall"]["ttft"]["p50_ms"] = "never"

    with pytest.raises(jsonschema.ValidationError):
        VALID.validate(example)


def test_the_command_prints_it() -> None:
    """As JSON; numbers have their definitions."""
    printed = json.loads(chaoskit("schema", "--result").stdout)

    assert printed == result_schema()
    assert "ms" in printed["$defs"]["LatencySummary"]["properties"]["p95_ms"]["description"]
    assert "run" not in printed["properties"]
