"""`chaoskit compare` on real runs: the same experiment with two seeds, and with more loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import warm

from chaoskit.substrate.uml import GuestKernel

FILE = """\
name: two-releases
question: Does anything regress?
stage: {lab: edge}
workload: {request-rate: 12/s, output-tokens: 20}
server: {first-token: {median: 80ms, p99: 160ms}, token-interval: 20ms}
faults:
  wifi: {link: client-router, direction: down, netem: {delay: 10ms, loss: 1%}}
timeline: [{baseline: 4s}, {wifi: 6s}]
objectives: [ttft_p50 during wifi < 1s]
"""
MORE_LOSS = "faults.wifi.netem.loss=20%"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, kernel: GuestKernel) -> dict[str, Path]:
    """Three runs in virtual time, by what is different in them."""
    top = tmp_path_factory.mktemp("runs")
    (top / "file.yaml").write_text(FILE)
    found = {}
    for name, options in (("before", ()), ("seed", ("--set", "seed=7")), ("loss", ("--set", MORE_LOSS))):
        found[name] = top / name
        words = (
            "run",
            top / "file.yaml",
            *options,
            "--clock",
            "virtual",
            "--kernel",
            kernel.path,
            "--out",
            found[name],
        )
        code, out = chaoskit(*words)
        assert code in (0, 1, 5), out
    return found


def chaoskit(*words: object) -> tuple[int, str]:
    """A command's exit code, and all that it says."""
    told = warm.chaoskit(*map(str, words), limit=200)
    return told.returncode, told.stdout + told.stderr


def document(*words: object) -> Any:
    """What it prints as JSON."""
    return json.loads(chaoskit("compare", *words, "--format", "json")[1])


def test_another_seed_is_no_regression(runs: dict[str, Path]) -> None:
    """The same experiment with other arrivals needs no permission, and nothing is flagged."""
    code, said = chaoskit("compare", runs["before"], runs["seed"])

    assert code == 0, said
    assert "NO REGRESSION SHOWN" in said
    changes = document(runs["before"], runs["seed"])["candidates"][0]["changes"]
    assert {each["verdict"] for each in changes} == {"not-shown"}


def test_more_loss_is_refused_and_then_a_regression(runs: dict[str, Path]) -> None:
    """It is another experiment, whose key is named; compared all the same, stalls of that phase alone regressed."""
    code, said = chaoskit("compare", runs["before"], runs["loss"])

    assert code == 2
    assert "faults.wifi.netem.loss: 1% -> 20%" in said
    code, said = chaoskit("compare", runs["before"], runs["loss"], "--despite", "experiment")
    assert code == 1, said
    (candidate,) = document(runs["before"], runs["loss"], "--despite", "experiment")["candidates"]
    regressed = {(each["phase"], each["metric"]) for each in candidate["changes"] if each["verdict"] == "regressed"}
    assert ("wifi", "stalls_per_minute") in regressed
    assert {phase for phase, _ in regressed} == {"wifi"}
