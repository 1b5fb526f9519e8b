"""A run as a journal of Chaos Toolkit says the same as the run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import Made, plan

from chaoskit.report.formats import write
from chaoskit.report.formats.source import load

MET, BROKEN, UNDECIDED = "ttft_p50 < 1s during wifi", "ttft_p50 < 1ms during wifi", "ttft_p99 < 1s during wifi"


def journal(run: Path, *objectives: str) -> dict[str, Any]:
    """The journal of a made run with these objectives."""
    Made(plan(objectives)).phases().many(0, 30_000, 333).counters("wifi", 900, 100, 10_000, 20_000).write(run)
    file = io.BytesIO()
    write("chaostoolkit", [load(run)], file)
    found: dict[str, Any] = json.loads(file.getvalue())
    return found


def test_it_has_what_chaos_toolkit_writes(tmp_path: Path) -> None:
    """Phases are actions with their times, objectives the probes of the hypothesis afterwards."""
    found = journal(tmp_path / "run", MET)

    assert [each["activity"]["name"] for each in found["run"]] == ["baseline", "wifi", "recovery"]
    assert found["run"][1]["output"]["faults"]
    assert found["experiment"]["steady-state-hypothesis"]["probes"][0]["name"] == MET
    assert {"platform", "node", "start", "end", "duration", "chaoslib-version"} <= set(found)
    assert found["duration"] >= 30


@pytest.mark.parametrize(
    ("objectives", "status", "is_met", "probes"),
    [
        ([MET], "completed", True, ["succeeded"]),
        ([MET, BROKEN], "completed", False, ["succeeded", "succeeded"]),
        ([MET, UNDECIDED], "failed", False, ["succeeded", "failed"]),
    ],
)
def test_nothing_but_met_is_met(
    tmp_path: Path, objectives: list[str], status: str, is_met: bool, probes: list[str]
) -> None:
    """A broken objective is a deviation; one that is undecided could not be measured, and its reason is told."""
    found = journal(tmp_path / "run", *objectives)

    after = found["steady_states"]["after"]
    assert (found["status"], found["deviated"], after["steady_state_met"]) == (status, not is_met, is_met)
    assert [each["status"] for each in after["probes"]] == probes
    assert all(each.get("reason") or each.get("exception") for each in after["probes"])
