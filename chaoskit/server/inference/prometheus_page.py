"""Counts what vLLM counts, and writes it under vLLM's names in the text format of Prometheus.

Names and buckets are those of vllm/v1/metrics/loggers.py. `DCGM_FI_DEV_GPU_UTIL`, of NVIDIA's exporter, stands beside
them: the share of the last second in which any step was computed, which is near 100 long before the queue grows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from chaoskit.server.fields import MODEL
from chaoskit.server.inference.scheduler import Engine
from chaoskit.server.inference.sequence import Sequence

SECOND = 10**9  # ns
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LABELS = f'engine="0",model_name="{MODEL}"'
_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
    *(160.0, 640.0, 2560.0),
)
_GAP = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)  # fmt: skip
_REQUEST = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0),
    *(1920.0, 7680.0),
)


class Histogram:
    """Times in buckets. `bounds` are in seconds, observed times in ns."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._limits = [round(bound * SECOND) for bound in bounds]
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0

    def observe(self, time: int) -> None:
        """Count it."""
        self._counts[bisect_left(self._limits, time)] += 1
        self._sum += time

    def lines(self, name: str) -> Iterator[str]:
        """Its samples: each bucket holds those below as well."""
        for bound, count in zip((*self._bounds, "+Inf"), accumulate(self._counts), strict=True):
            yield f'{name}_bucket{{{_LABELS},le="{bound}"}} {count}'
        yield f"{name}_sum{{{_LABELS}}} {self._sum / SECOND}"
        yield f"{name}_count{{{_LABELS}}} {sum(self._counts)}"


class Metrics:
    """What `/metrics` says of an engine."""

    def __init__(self) -> None:
        self.prompt_tokens = self.output_tokens = 0
        self.ended: Counter[str] = Counter({"stop": 0, "length": 0, "abort": 0})
        self._histograms = {
            "vllm:time_to_first_token_seconds": Histogram(_FIRST_TOKEN),
            "vllm:inter_token_latency_seconds": Histogram(_GAP),
            "vllm:e2e_request_latency_seconds": Histogram(_REQUEST),
            "vllm:request_queue_time_seconds": Histogram(_REQUEST),
            "vllm:request_prefill_time_seconds": Histogram(_REQUEST),
            "vllm:request_decode_time_seconds": Histogram(_REQUEST),
        }

    def token(self, sequence: Sequence, before: int | None, at: int) -> None:
        """A token was computed at `at`, the one of this sequence before at `before`."""
        self.output_tokens += 1
        if before is None:
            self.prompt_tokens += sequence.prompt
            self._observe("vllm:time_to_first_token_seconds", at - sequence.arrival)
        else:
            self._observe("vllm:inter_token_latency_seconds", at - before)

    def request(self, sequence: Sequence, finish: str, end: int) -> None:
        """A request has ended: `stop`, `length` or `abort`."""
        self.ended[finish] += 1
        first, scheduled = sequence.first_token, sequence.first_scheduled
        self._observe("vllm:e2e_request_latency_seconds", end - sequence.arrival)
        if scheduled is not None:
            self._observe("vllm:request_queue_time_seconds", scheduled - sequence.arrival)
            if first is not None:
                self._observe("vllm:request_prefill_time_seconds", first - scheduled)
                self._observe("vllm:request_decode_time_seconds", max(0, end - first))

    def text(self, engine: Engine, utilisation: float) -> str:
        """The page. `utilisation` is a share."""
        gauges: dict[str, float] = {
            "vllm:num_requests_running": len(engine.running),
            "vllm:num_requests_waiting": len(engine.waiting),
            "vllm:kv_cache_usage_perc": engine.kv_used / (engine.settings.blocks * engine.settings.block),
        }
        counters = {
            "vllm:num_preemptions_total": engine.preemptions,
            "vllm:prompt_tokens_total": self.prompt_tokens,
            "vllm:generation_tokens_total": self.output_tokens,
        }
        lines: list[str] = []
        for name, value in gauges.items():
            lines += [f"# TYPE {name} gauge", f"{name}{{{_LABELS}}} {value}"]
        for name, count in counters.items():
            lines += [f"# TYPE {name} counter", f"{name}{{{_LABELS}}} {count}"]
        lines.append("# TYPE vllm:request_success_total counter")
        lines += [
            f'vllm:request_success_total{{{_LABELS},finished_reason="{reason}"}} {count}'
            for reason, count in self.ended.items()
        ]
        for name, histogram in self._histograms.items():
            lines += [f"# TYPE {name} histogram", *histogram.lines(name)]
        busy = "DCGM_FI_DEV_GPU_UTIL"
        lines += [f"# TYPE {busy} gauge", f'{busy}{{gpu="0"}} {round(100 * utilisation)}']
        return "\n".join(lines) + "\n"

    def _observe(self, name: str, time: int) -> None:
        self._histograms[name].observe(time)
