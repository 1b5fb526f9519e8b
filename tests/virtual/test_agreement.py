"""In virtual time the probe and the formulas of public benchmark clients agree exactly on the same streams."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clocks import measure
from observed_streams import SHAPES, TOKENS, USAGE_LATER
from public_clients import Figures, Observed, aiperf, guidellm, vllm

from chaoskit.analysis.load import load_records
from chaoskit.analysis.result import Metrics
from chaoskit.analysis.vllm_figures import VllmFigures, vllm_figures
from chaoskit.substrate import uml

PROGRAM = Path(__file__).parents[1] / "observed_streams.py"
STEP = 5e-4
"""ms: two steps of the virtual clock, each of 256 ns."""
EXPERIMENT = f"""\
name: agreement
question: Are the probe's numbers those of other clients?
stage:
  lab: service
  hosts:
    relay: {{run: [{sys.executable}, {PROGRAM}, relay, "8080", model, "8000"], ready: 8080}}
    model: {{run: [{sys.executable}, {PROGRAM}, model, "8000"], ready: 8000}}
  target: http://relay:8080/v1/chat/completions
workload: {{request-rate: 8/s, output-tokens: {TOKENS}}}
timeline: [{{baseline: 5s}}]
"""


def test_every_number_is_that_of_other_clients(kernel: uml.GuestKernel, tmp_path: Path) -> None:
    """A relay on the way reads the same bytes: TTFT, ITL, TPOT and latency are theirs to half a microsecond.

    Each client stamps the begin of a request by itself: here it is the probe's, and the relay's is microseconds later.
    """
    file, run = tmp_path / "agreement.yaml", tmp_path / "run"
    file.write_text(EXPERIMENT)

    result = measure(file, "virtual", kernel.path, run)

    raw = load_records(run)
    started, scheduled = (
        {each.stream: getattr(each, name) for each in raw.requests} for name in ("started", "scheduled")
    )
    lines = (run / "hosts" / "relay.log").read_text().splitlines()
    relayed = [Observed.of_line(line) for line in lines if line.startswith("{")]
    seen = [replace(stream, begin=started[stream.number]) for stream in relayed]
    waited = [replace(stream, begin=scheduled[stream.number]) for stream in relayed]
    assert len(seen) == result.overall.complete > 8 * len(SHAPES)
    assert all(0 <= stream.begin - started[stream.number] < 100_000 for stream in relayed)
    _is_aiperfs(result.overall, aiperf(waited))
    assert guidellm(waited).itl == aiperf(waited).tpot
    _is_vllms(vllm_figures(raw.streams.ended), vllm(seen))
    (phase,) = (each for each in raw.phases if each.name == "baseline")
    arrived = [stream.tokens / len(stream.content) for stream in seen for at in stream.content if at <= phase.until]
    assert result.overall.tokens_per_second.value == pytest.approx(sum(arrived) / 5)


def _is_aiperfs(ours: Metrics, theirs: Figures) -> None:
    for summary, values in (
        (ours.ttft, theirs.ttft),
        (ours.itl, theirs.itl),
        (ours.tpot, theirs.tpot),
        (ours.e2el, theirs.e2el),
    ):
        ranks = np.percentile(values, [50, 90, 95, 99, 100], method="inverted_cdf")
        found = (summary.p50_ms, summary.p90_ms, summary.p95_ms, summary.p99_ms, summary.max_ms)
        assert summary.count == len(values)
        assert found == pytest.approx(ranks.tolist(), abs=STEP)
        assert summary.mean_ms == pytest.approx(np.mean(values), abs=STEP)


def _is_vllms(ours: VllmFigures, theirs: Figures) -> None:
    """But for what follows the last token: its end, at once, is a gap for vLLM, and the usage, 5 ms later, its end."""
    later = USAGE_LATER * 1000
    gaps = sorted(theirs.itl)[len(theirs.ttft) :]
    for name, values in (
        ("ttft", theirs.ttft),
        ("e2el", [each - later for each in theirs.e2el]),
        ("tpot", [each - later / (TOKENS - 1) for each in theirs.tpot]),
        ("itl", gaps),
    ):
        assert ours.times[f"mean_{name}_ms"] == pytest.approx(np.mean(values), abs=STEP)
        assert ours.times[f"p95_{name}_ms"] == pytest.approx(np.percentile(values, 95), abs=STEP)
    assert ours.tokens == TOKENS * len(theirs.ttft)
