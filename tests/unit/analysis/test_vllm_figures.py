"""The figures of vLLM are those that vLLM computes from the same events."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from made_runs import Made, ns

from chaoskit.analysis.vllm_figures import vllm_figures

ARRIVALS = ([184.0, 190.0, 230.0], [60.0], [400.0, 401.0, 402.0, 950.0])
FIRST_EVENTS = (2.5, 60.0, 120.0)


def of_vllm() -> dict[str, list[float]]:
    """As in vLLM's async_request_openai_chat_completions and calculate_metrics: every event, one after the other."""
    found: dict[str, list[float]] = {"ttft": [], "tpot": [], "itl": [], "e2el": []}
    for first, tokens in zip(FIRST_EVENTS, ARRIVALS, strict=True):
        ttft, latest = 0.0, 0.0
        events = [first, *tokens] if first != tokens[0] else tokens
        for timestamp in events:
            if ttft == 0.0:
                ttft = timestamp
            else:
                found["itl"].append(timestamp - latest)
            latest = timestamp
        found["ttft"].append(ttft)
        found["e2el"].append(latest)
        if len(tokens) > 1:
            found["tpot"].append((latest - ttft) / (len(tokens) - 1))
    return found


def test_they_are_those_of_vllm() -> None:
    """Whole runs agree in every statistic; streams that were interrupted are in none."""
    made = Made(plan=None)
    for first, tokens in zip(FIRST_EVENTS, ARRIVALS, strict=True):
        made.stream(0, tokens, first_event=ns(first))
    made.stream(0, [3, 4], "reset", ended=5)

    found = vllm_figures(made.streams().ended)

    assert found.tokens == 8
    for figure, values in of_vllm().items():
        assert found.times[f"mean_{figure}_ms"] == pytest.approx(statistics.fmean(values))
        assert found.times[f"median_{figure}_ms"] == pytest.approx(statistics.median(values))
        assert found.times[f"std_{figure}_ms"] == pytest.approx(statistics.pstdev(values))
        for percent in (90, 95, 99):
            assert found.times[f"p{percent}_{figure}_ms"] == pytest.approx(np.percentile(values, percent))


def test_without_a_complete_stream_there_is_none() -> None:
    """Every figure is missing."""
    found = vllm_figures(Made(plan=None).streams().ended)

    assert set(found.times.values()) == {None}
