"""Interleaved phases in a real run: they come in the drawn order, with their faults."""

from __future__ import annotations

from pathlib import Path

from test_repeatable import run

from chaoskit.analysis.analyse import analyse
from chaoskit.planning.model import load_plan
from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase
from chaoskit.substrate.uml import GuestKernel

FILE = """\
name: interleaved
question: Is 30 ms of delay 30 ms, whenever it comes?
stage: {lab: edge}
workload: {request-rate: 4/s, output-tokens: 5}
server: {first-token: {median: 50ms, p99: 50ms}, token-interval: 20ms}
faults: {slow: {link: client-router, direction: down, netem: {delay: 30ms}}}
timeline: [{baseline: 3s}, {slow: 3s}]
repeats: 6
order: interleaved
objectives: [ttft_p50 during slow > 1.2x baseline, ttft_p50 during slow < 3x baseline]
"""


def test_phases_come_as_drawn(kernel: GuestKernel, tmp_path: Path) -> None:
    """Every phase has its own delay in every round; the report says that they are interleaved, and both bounds hold."""
    file, out = tmp_path / "interleaved.yaml", tmp_path / "run"
    file.write_text(FILE)

    said = run(kernel, file, out)

    came = [(each.name, each.round) for each in read(out, Phase) if each.name != "drain"]
    assert came == [(each.name, each.round) for each in load_plan(out).phases]
    assert len({name for name, number in came if number == came[0][1]}) == 2
    assert [name for name, _ in came[:2]] == [name for name, _ in came[3:1:-1]]
    result = analyse(out)
    medians = {phase.name: phase.metrics.ttft.p50_ms for phase in result.phases}
    assert medians["baseline"] is not None
    assert medians["slow"] is not None
    assert 29 < medians["slow"] - medians["baseline"] < 62  # with or without the handshake
    assert {each.verdict for each in result.objectives} == {"met"}
    assert "6 rounds interleaved" in said
