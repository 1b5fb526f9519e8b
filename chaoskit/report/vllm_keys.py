"""Writes a result in the keys of `vllm bench serve --save-result`, for scripts that read those.

vLLM's `ttft` is the first event of any kind; chaoskit's is the first event with content, and is under `chaoskit` with
everything else. Latencies count from the scheduled time of a request, not from when it was sent. An interrupted stream
is not "completed" here, while vLLM counts it as such. Times are in ms, rates per second; a missing value is null.
"""

from __future__ import annotations

import json
from typing import Any

from chaoskit.analysis.result import LatencySummary, Result
from chaoskit.spec.experiment import Workload
from chaoskit.terminal import ascii_json


def as_json(result: Result, workload: Workload) -> str:
    """One JSON document, indented."""
    whole = result.overall
    keys: dict[str, Any] = {
        "backend": workload.protocol,
        "num_prompts": whole.started,
        "request_rate": workload.request_rate.per_second if workload.request_rate else "inf",
        "burstiness": workload.burstiness,
        "max_concurrency": workload.max_concurrency,
        "duration": result.seconds,
        "completed": whole.complete,
        "failed": whole.interrupted,
        "total_output_tokens": whole.tokens,
        "request_throughput": whole.complete / result.seconds if result.seconds else None,
        "request_goodput": whole.goodput.value,
        "output_throughput": whole.tokens_per_second.value,
        **_times("ttft", whole.ttf_event),
        **_times("tpot", whole.tpot),
        **_times("itl", whole.itl),
        **_times("e2el", whole.e2el),
        "chaoskit": result.model_dump(mode="json"),
    }
    return ascii_json(json.dumps(keys, indent=2))


def _times(name: str, times: LatencySummary) -> dict[str, Any]:
    plain = times.model_dump(mode="json")
    names = {"mean": "mean", "median": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}
    return {f"{theirs}_{name}_ms": plain[f"{ours}_ms"] for theirs, ours in names.items()}
