"""Runs an engine in time: its steps end by a timer, and wake the responses whose tokens they computed.

Rules: a step begins when the one before it ended, however late the timer was, so that a busy machine changes nothing. A
process that stood still has lost that time: its next step begins when it runs again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chaoskit import clock
from chaoskit.server.inference.model_records import ModelLogs
from chaoskit.server.inference.prometheus_page import SECOND, Metrics
from chaoskit.server.inference.scheduler import Engine, Step
from chaoskit.server.inference.sequence import Sequence
from chaoskit.server.inference.settings import EngineSettings
from chaoskit.server.requests import Request
from chaoskit.timer import AbsoluteTimer

_STOOD_STILL = SECOND // 10  # ns; a process that has its processor wakes within some ms


@dataclass(frozen=True)
class Asked:
    """A request, the model that it names, the tokens of its prompt and its answer, and its priority."""

    request: Request
    model: str
    prompt: int
    output: int
    priority: int


@dataclass(eq=False)
class Computation:
    """The answer to one request, while an engine computes it. `stamps`: when each of its tokens was there, ns."""

    asked: Asked
    sequence: Sequence
    wake: Callable[[], None]
    stamps: list[int] = field(default_factory=list)


class EngineDriver:
    """An engine of a server, its metrics and its records."""

    def __init__(self, settings: EngineSettings, timer: AbsoluteTimer, logs: ModelLogs | None = None) -> None:
        self.engine = Engine(settings)
        self.metrics = Metrics()
        self._timer = timer
        self.logs = logs
        self._computations: dict[Sequence, Computation] = {}
        self._step: Step | None = None
        self._began = clock.now()
        self._sample = (self._began, 0)  # of the last second: when, and the busy time until then
        self._utilisation = 0.0
        self._look_again(self._began)

    def submit(self, asked: Asked, wake: Callable[[], None]) -> Computation:
        """Queue a request; `wake` is called after each step that computed a token of it."""
        received = asked.request.received
        self._catch_up(received)
        sequence = self.engine.arrive(asked.prompt, asked.output, received, asked.priority)
        computation = Computation(asked, sequence, wake)
        self._computations[computation.sequence] = computation
        if self._step is None:
            self._begin(received)
        return computation

    def end(self, computation: Computation, finish: str) -> None:
        """A response has ended, by itself (`stop`, `length`) or before (`abort`)."""
        sequence = computation.sequence
        if self._computations.pop(sequence, None) is not None:
            self.engine.abort(sequence)
        last = computation.stamps[-1] if sequence.is_finished and computation.stamps else clock.now()
        self.metrics.request(sequence, finish, last)
        if self.logs is not None:
            error = None if finish != "abort" else "aborted"
            self.logs.computed(computation.asked.request, computation.asked.model, last, error, sequence)

    def page(self) -> str:
        """What `/metrics` says now."""
        self._catch_up(clock.now())
        return self.metrics.text(self.engine, self._utilisation)

    def close(self) -> None:
        """Record the last state."""
        self._record(clock.now())

    def _begin(self, now: int) -> None:
        self._step = self.engine.step(now)
        if self._step is not None:
            self._timer.at(self._step.end, self._fire)

    def _fire(self) -> None:
        self._catch_up(clock.now())

    def _catch_up(self, now: int) -> None:
        """End the steps that have ended by `now`."""
        while self._step is not None and self._step.end <= now:
            step = self._step
            awake = [self._computations[each] for each in step.tokens if each in self._computations]
            for computation in awake:
                stamps = computation.stamps
                self.metrics.token(computation.sequence, stamps[-1] if stamps else None, step.end)
                stamps.append(step.end)
                if computation.sequence.is_finished:
                    del self._computations[computation.sequence]
            self._begin(now if now - step.end > _STOOD_STILL else step.end)
            for computation in awake:
                computation.wake()

    def _look_again(self, at: int) -> None:
        """Record the state each second from `at` on; what was missed is left out."""
        now = clock.now()
        self._record(now)
        following = at + SECOND * ((now - at) // SECOND + 1)
        self._timer.at(following, lambda: self._look_again(following))

    def _record(self, now: int) -> None:
        busy = self.engine.busy_until(now)
        (before, busy_before), self._sample = self._sample, (now, busy)
        if now > before:
            self._utilisation = (busy - busy_before) / (now - before)
        if self.logs is not None:
            self.logs.state(self.engine, now, busy)
