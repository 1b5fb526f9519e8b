"""An experiment is run from Python as the command line runs it; of several tokens in an event each is counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaoskit.analysis.analyse import analyse
from chaoskit.errors import SpecError
from chaoskit.execution.experiment import run_experiment
from chaoskit.report.result_json import as_json
from chaoskit.substrate.uml import GuestKernel

FILE = """\
name: short
question: Does it run from Python?
stage: {lab: edge}
workload: {max-concurrency: 2, output-tokens: 20}
server: {first-token: {median: 50ms, p99: 50ms}, tokens-per-event: 4, token-interval: 20ms}
faults:
  away: {link: client-router, direction: down, netem: {delay: 1ms}}
timeline: [{baseline: 2s}, {away: 2s}]
objectives: [ttft_p50 during away < 2x baseline]
matrix:
  faults.away.netem.delay: [10ms, 100ms]
"""


def test_its_result_is_that_of_its_records(
    kernel: GuestKernel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The variant that was named, with the values that were set; nothing is printed, and no descriptor stays open."""
    file, out = tmp_path / "short.yaml", tmp_path / "run"
    file.write_text(FILE)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208  descriptors

    result = run_experiment(
        file, variant="delay=100ms", overrides={"seed": 9}, clock="virtual", kernel=kernel.path, out=out
    )

    assert (result.outcome.verdict, result.exit_code, result.seed, result.clock) == ("broken", 1, 9, "virtual")
    assert as_json(analyse(out)) == as_json(result) == (out / "result.json").read_text()
    assert capfd.readouterr() == ("", "")
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208
    assert result.tokens_per_event == 4
    assert result.overall.delivered_fraction.value == 1
    assert result.overall.tpot.p50_ms == pytest.approx(
        20 * (20 - 4) / (20 - 1), rel=0.01
    )  # the first four come at once
    assert result.overall.planned_pace.p50_ms == pytest.approx(20, rel=0.01)


def test_a_matrix_needs_a_variant(tmp_path: Path) -> None:
    """And nothing is written without one."""
    file = tmp_path / "short.yaml"
    file.write_text(FILE)

    with pytest.raises(SpecError, match="has a matrix of 2 variants"):
        run_experiment(file, out=tmp_path / "run")

    assert not (tmp_path / "run").exists()
