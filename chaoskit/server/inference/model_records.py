"""Records the queue of a model each second, and one span for each request to it."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.records import span_names
from chaoskit.records.jsonl import Log
from chaoskit.records.spans import ModelState, Span
from chaoskit.records.trace_context import HEADER, TraceContext, parse_traceparent
from chaoskit.seed import derive
from chaoskit.server.inference.scheduler import Engine
from chaoskit.server.inference.sequence import Sequence
from chaoskit.server.requests import Request


@dataclass
class ModelLogs:
    """The files of a host's model. `seed` is the run's: spans have the same names again."""

    host: str
    seed: int
    spans: Log
    states: Log
    count: int = 0

    def state(self, engine: Engine, at: int, busy: int) -> None:
        """The queue at `at`; `busy` ns of steps so far."""
        settings = engine.settings
        self.states.add(
            ModelState(
                host=self.host,
                at=at,
                running=len(engine.running),
                waiting=len(engine.waiting),
                kv_used=engine.kv_used,
                kv_size=settings.blocks * settings.block,
                busy=busy,
                preemptions=engine.preemptions,
                tokens=engine.computed,
            )
        )

    def span(self, request: Request, model: str, end: int, error: str | None, sequence: Sequence | None) -> None:
        """A request that ended at `end`; without a `sequence` it was refused."""
        self.count += 1
        context = parse_traceparent(request.headers.get(HEADER, "")) or self._own_trace()
        attributes: dict[str, str | int | bool] = {span_names.OPERATION_NAME: "chat"}
        if sequence is not None:
            attributes |= _of_sequence(sequence, end)
        self.spans.add(
            Span(
                trace=context.trace,
                span=f"{derive(self.seed, 'span', self.host, self.count):016x}",
                parent=context.parent or None,
                host=self.host,
                name=f"chat {model}",
                operation="model",
                begin=request.received,
                end=end,
                error=error,
                attributes=attributes,
            )
        )

    def _own_trace(self) -> TraceContext:
        """For a client that sends no context."""
        high, low = (derive(self.seed, "trace", self.host, self.count, half) for half in (0, 1))
        return TraceContext(f"{high:016x}{low:016x}", "")


def _of_sequence(sequence: Sequence, end: int) -> dict[str, str | int | bool]:
    begin = sequence.arrival
    scheduled = sequence.first_scheduled if sequence.first_scheduled is not None else end
    first = sequence.first_token if sequence.first_token is not None else end
    frozen = 0 if sequence.preempted_at is None else max(0, end - sequence.preempted_at)
    told: dict[str, str | int | bool] = {} if sequence.first_token is None else {span_names.FIRST_TOKEN: first - begin}
    return told | {
        span_names.MODEL_QUEUE: scheduled - sequence.arrival,
        span_names.MODEL_PREFILL: max(0, first - scheduled),
        span_names.MODEL_PREFILL_INTERFERENCE: sequence.prefill_interference,
        span_names.MODEL_PREEMPTIONS: sequence.preemptions,
        span_names.MODEL_PREEMPTED: sequence.preempted + frozen,
        span_names.MODEL_INTERFERENCE: sequence.interference,
        span_names.MODEL_PROMPT_TOKENS: sequence.prompt,
        span_names.MODEL_OUTPUT_TOKENS: sequence.generated,
    }
