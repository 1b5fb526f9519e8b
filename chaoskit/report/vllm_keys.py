"""Writes the result of a probe in the keys of `vllm bench serve`, for scripts that read those.

A key of vLLM is there only where it means what it means for vLLM, down to the formula. The number that chaoskit reports
as time to first token stands beside it as `first_content_*`: vLLM counts the first event of any kind, which many
servers send long before the first token. Every key has a sentence and a unit in `definitions`, everything else that
chaoskit measures is under `chaoskit`. A missing value is null, with the reason in `null_because`.
"""

from __future__ import annotations

import json
import math
from typing import Any

from chaoskit.analysis.finite_json import NULL_BECAUSE
from chaoskit.analysis.result import Result
from chaoskit.report.definitions import definitions
from chaoskit.spec.workload import Workload
from chaoskit.terminal import ascii_json

_PERCENTILES = ("mean", "p50", "p90", "p95", "p99")


def as_json(result: Result, workload: Workload) -> str:
    """One JSON document, indented."""
    keys = {**_vllm(result, workload), **_own(result)}
    reasons = {key: _why(key, result, workload) for key, value in keys.items() if value is None}
    document: dict[str, Any] = {**keys, NULL_BECAUSE: reasons, "chaoskit": result.model_dump(mode="json")}
    document["definitions"] = definitions(document)
    return ascii_json(json.dumps(document, indent=2, allow_nan=False))


def _vllm(result: Result, workload: Workload) -> dict[str, Any]:
    whole, seconds = result.overall, result.seconds
    tokens, times = (result.vllm.tokens, result.vllm.times) if result.vllm else (0, {})
    return {
        "backend": workload.protocol,
        "num_prompts": whole.started,
        "request_rate": workload.request_rate.per_second if workload.request_rate else None,
        "burstiness": workload.burstiness if workload.request_rate else None,
        "max_concurrency": workload.max_concurrency,
        "duration": seconds,
        "completed": whole.complete,
        "failed": whole.interrupted,
        "total_output_tokens": tokens,
        "request_throughput": whole.complete / seconds if seconds else None,
        "request_goodput": whole.goodput.value if result.objectives else None,
        "output_throughput": tokens / seconds if seconds else None,
        **times,
    }


def _own(result: Result) -> dict[str, Any]:
    first = result.overall.ttft
    shown = first.model_dump(mode="json")
    return {
        "first_content_streams": first.count,
        "first_content_never": first.never,
        **{f"first_content_{name}_ms": shown[f"{name}_ms"] for name in _PERCENTILES},
    }


def _why(key: str, result: Result, workload: Workload) -> str:
    """Why there is no value."""
    match key:
        case "request_rate" | "burstiness" if workload.is_open_loop:
            return "a trace is replayed, at its own times"
        case "request_rate" | "burstiness":
            return "closed loop: requests start when others end"
        case "max_concurrency":
            return "open loop: requests start on schedule"
        case "request_goodput" if not result.objectives:
            return "no objectives are set"
        case _ if key.startswith("first_content"):
            first, name = result.overall.ttft, key.removeprefix("first_content_")
            return first.why_infinite(name, math.inf) if first.count else first.missing
        case _ if not result.seconds:
            return "no request was made"
        case _:
            return "no complete stream has such a time"
