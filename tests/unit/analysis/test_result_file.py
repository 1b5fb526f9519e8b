"""`result.json`: complete, and valid JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from made_runs import Made, plan
from pydantic import ValidationError

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Outcome, Result
from chaoskit.analysis.summaries import IntervalEstimate


def made(tmp_path: Path, **outcome: str) -> Result:
    """The result of a run in which no first token of wifi arrived."""
    run = Made(plan(["ttft_p95 < 800ms during wifi"]), outcome=dict(outcome) or None).phases().many(0, 9000, 100)
    for index in range(30):
        run.stream(11_000 + index, [], "reset", ended=11_500)
    return analyse(run.write(tmp_path / "run"))


def refuse(word: str) -> None:
    """For json: constants that are not JSON."""
    raise AssertionError(word)


def test_a_result_is_read_back_equal(tmp_path: Path) -> None:
    """It is read back equal but for its path, and the file has neither NaN nor Infinity."""
    result = made(tmp_path, how="finished")
    text = result.model_dump_json()

    json.loads(text, parse_constant=refuse)
    assert Result.model_validate_json(text) == result.model_copy(update={"run": ""})


def test_what_was_asked_is_told_or_null_with_the_reason(tmp_path: Path) -> None:
    """The protocol of a run in a lab is known, and no model was named; nothing is an empty text."""
    found = json.loads(made(tmp_path).model_dump_json())

    assert (found["protocol"], found["model"]) == ("openai-chat over HTTP/1.1", None)
    assert found["null_because"]["model"].startswith("no model was named")


def test_never_is_null_with_the_reason(tmp_path: Path) -> None:
    """A first token that never arrived is null with the reason beside it in JSON, and infinity in memory."""
    result = made(tmp_path, how="finished")
    raw = json.loads(result.model_dump_json())

    wifi = next(phase for phase in raw["phases"] if phase["name"] == "wifi")
    ttft = wifi["metrics"]["ttft"]
    assert (ttft["p50_ms"], ttft["null_because"]["p50_ms"], ttft["never"]) == (
        None,
        "never reached by 30 of 30",
        ttft["count"],
    )
    assert result.phases[1].metrics.ttft.p50_ms == math.inf


@pytest.mark.parametrize("low", [-math.inf, -1.0, math.inf])
@pytest.mark.parametrize("high", [1.0, math.inf, None])
def test_ends_of_intervals_are_read_back(low: float, high: float | None) -> None:
    """An interval without an end on one side says so, and is read back equal."""
    interval = IntervalEstimate(value=0.5, low=low, high=high)
    text = interval.model_dump_json()

    json.loads(text, parse_constant=refuse)
    assert IntervalEstimate.model_validate_json(text) == interval
    assert ("no upper end" in text) == (high == math.inf)
    assert ("no lower end" in text) == (low == -math.inf)


def test_nan_is_refused() -> None:
    """A missing value is null with a reason; NaN never becomes a result."""
    with pytest.raises(ValidationError, match="never NaN"):
        IntervalEstimate(value=math.nan)


@pytest.mark.parametrize(
    ("how", "detail", "found", "code"),
    [
        ("finished", "", "met", 0),
        ("finished", "", "none", 0),
        ("finished", "", "broken", 1),
        ("finished", "", "undecided", 5),
        ("refused", "no netem", "met", 3),
        ("crashed", "ZeroDivisionError", "broken", 70),
        ("dirty", "qdisc eth0", "broken", 4),
        ("interrupted", "SIGINT", "met", 130),
        ("interrupted", "SIGTERM", "broken", 143),
    ],
)
def test_exit_codes(tmp_path: Path, how: str, detail: str, found: str, code: int) -> None:
    """The status decides before the verdict."""
    outcome = Outcome(status=how, detail=detail, verdict=found, reason="")

    assert made(tmp_path, how="finished").model_copy(update={"outcome": outcome}).exit_code == code


def test_a_run_without_an_outcome_was_killed(tmp_path: Path) -> None:
    """Without an outcome the run was interrupted, and its records are still analysed."""
    result = made(tmp_path)

    assert (result.outcome.status, result.exit_code) == ("interrupted", 130)
    assert "killed" in result.outcome.detail
    assert result.overall.started == 120
