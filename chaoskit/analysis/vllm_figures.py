"""Computes the figures of `vllm bench serve` as vLLM does, of the complete streams.

| figure | vLLM's definition (vllm/benchmarks/serve.py, vllm/benchmarks/lib/endpoint_request_func.py)       |
|--------|--------------------------------------------------------------------------------------------------|
| ttft   | first event of any kind - start of the request                                                   |
| itl    | every gap between events, the one from the first event to the first token included               |
| tpot   | (e2el - ttft) / (tokens - 1), of streams with two tokens or more                                 |
| e2el   | last token - start of the request                                                                |

Tokens are those of the server's usage; where it told none, events. Percentiles are interpolated, as numpy does by
default. An interrupted stream is in none of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from chaoskit.analysis.streams.assemble import Stream

FIGURES = ("ttft", "tpot", "itl", "e2el")
STATISTICS = ("mean", "median", "std", "p90", "p95", "p99")
_MS = 1e6


class VllmFigures(BaseModel):
    """`times` are in ms, by vLLM's keys; None where no stream has such a time. `tokens` are of complete streams."""

    model_config = ConfigDict(frozen=True)

    tokens: int
    times: dict[str, float | None]


def vllm_figures(streams: Iterable[Stream]) -> VllmFigures:
    """The figures of these streams."""
    tokens = 0.0
    found: dict[str, list[float]] = {figure: [] for figure in FIGURES}
    for stream in streams:
        request = stream.request
        if not stream.is_complete or request.first_event is None or request.last_token is None:
            continue
        assert request.first_token is not None
        tokens += stream.tokens
        first, last = request.first_event - request.started, request.last_token - request.started
        found["ttft"].append(first)
        found["e2el"].append(last)
        found["itl"] += stream.gaps.length.tolist()
        if request.first_token != request.first_event:
            found["itl"].append(request.first_token - request.first_event)
        if stream.tokens > 1:
            found["tpot"].append((last - first) / (stream.tokens - 1))
    times: dict[str, float | None] = {}
    for figure, values in found.items():
        times |= _statistics(figure, np.array(values, dtype=np.float64) / _MS)
    return VllmFigures(tokens=round(tokens), times=times)


def _statistics(figure: str, values: NDArray[np.float64]) -> dict[str, float | None]:
    keys = [f"{statistic}_{figure}_ms" for statistic in STATISTICS]
    if not len(values):
        return dict.fromkeys(keys)
    percentiles = np.percentile(values, (90, 95, 99))
    found = (values.mean(), np.median(values), values.std(), *percentiles)
    return {key: float(value) for key, value in zip(keys, found, strict=True)}
