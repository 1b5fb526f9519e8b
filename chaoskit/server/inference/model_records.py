"""Records one span for each request to a model, and the queue of one with an engine each second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaoskit import clock
from chaoskit.records import span_names
from chaoskit.records.jsonl import Log
from chaoskit.records.spans import ModelState, Span
from chaoskit.records.trace_context import HEADER, TraceContext, parse_traceparent
from chaoskit.seed import derive
from chaoskit.server.inference.scheduler import Engine
from chaoskit.server.inference.sequence import Sequence
from chaoskit.server.requests import Request


@dataclass(frozen=True)
class SentAnswer:
    """An answer without an engine: its model, tokens of its prompt, tokens that were sent, when the first one was."""

    model: str
    prompt: int
    tokens: int
    first: int | None


@dataclass
class ModelLogs:
    """The files of a host's model; `states` are those of an engine.

    Without an engine only requests that name a trace have a span. `seed` is the run's: spans have the same names again.
    """

    host: str
    seed: int
    spans: Log
    states: Log | None = None
    count: int = 0

    @property
    def logs(self) -> tuple[Log, ...]:
        """Those that are to be flushed."""
        return (self.spans,) if self.states is None else (self.spans, self.states)

    def state(self, engine: Engine, at: int, busy: int) -> None:
        """The queue at `at`; `busy` ns of steps so far."""
        settings = engine.settings
        assert self.states is not None, "an engine's queue is recorded"
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

    def computed(self, request: Request, model: str, end: int, error: str | None, sequence: Sequence) -> None:
        """A request that an engine computed until `end`."""
        self._add(request, model, end, error, _of_sequence(sequence, end))

    def refused(self, request: Request, model: str, status: int) -> None:
        """A request that has just been answered with this status."""
        self._add(request, model, clock.now(), str(status), {})

    def sent(self, request: Request, sent: SentAnswer, error: str | None) -> None:
        """A request whose answer, which a script paced, has just ended."""
        told = {span_names.MODEL_PROMPT_TOKENS: sent.prompt, span_names.MODEL_OUTPUT_TOKENS: sent.tokens}
        if sent.first is not None:
            told[span_names.FIRST_TOKEN] = sent.first - request.received
        self._add(request, sent.model, clock.now(), error, told)

    def _add(self, request: Request, model: str, end: int, error: str | None, told: Mapping[str, int]) -> None:
        context = parse_traceparent(request.headers.get(HEADER, ""))
        if context is None and self.states is None:
            return
        self.count += 1
        context = context or self._own_trace()
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
                attributes={span_names.OPERATION_NAME: "chat", **told},
            )
        )

    def _own_trace(self) -> TraceContext:
        """For a client that sends no context."""
        high, low = (derive(self.seed, "trace", self.host, self.count, half) for half in (0, 1))
        return TraceContext(f"{high:016x}{low:016x}", "")


def _of_sequence(sequence: Sequence, end: int) -> dict[str, int]:
    begin = sequence.arrival
    scheduled = sequence.first_scheduled if sequence.first_scheduled is not None else end
    first = sequence.first_token if sequence.first_token is not None else end
    frozen = 0 if sequence.preempted_at is None else max(0, end - sequence.preempted_at)
    told = {} if sequence.first_token is None else {span_names.FIRST_TOKEN: first - begin}
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
