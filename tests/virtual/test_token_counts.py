"""A lab's server that puts several tokens into an event: tokens are counted, not events."""

from __future__ import annotations

from pathlib import Path

import pytest
from clocks import measure

from chaoskit.substrate import uml

EXPERIMENT = """\
name: chunks
question: Are tokens counted?
stage: {lab: edge}
workload: {request-rate: 4/s, output-tokens: 60}
server: {tokens-per-event: 4, token-interval: 20ms}
timeline: [{baseline: 5s}]
"""


def test_tokens_of_a_lab_are_counted(kernel: uml.GuestKernel, tmp_path: Path) -> None:
    """60 tokens in 15 events are delivered in full, at 20 ms a token."""
    file = tmp_path / "chunks.yaml"
    file.write_text(EXPERIMENT)

    result = measure(file, "virtual", kernel.path, tmp_path / "run")

    assert result.tokens_per_event == 4
    assert result.overall.delivered_fraction.value == 1
    assert result.overall.tpot.p50_ms == pytest.approx(20, rel=0.1)
    assert result.overall.planned_pace.p50_ms == pytest.approx(20, rel=0.01)
