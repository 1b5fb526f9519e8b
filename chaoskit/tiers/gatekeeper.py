"""Lets the requests of a gateway in, and degrades its service, as admission and ladder decide.

The pure parts decide; this waits, has the models' `/metrics` read, and writes what was decided into spans. A ladder's
switches are spans of their own, each in a trace that no request has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from chaoskit.clock import now
from chaoskit.records import span_names
from chaoskit.seed import derive
from chaoskit.tiers.admission import STATUS, Admission, Admitted, Decision, Refused
from chaoskit.tiers.carriage import PRIORITY_FIELD
from chaoskit.tiers.controls import FULL, Asked, Service
from chaoskit.tiers.failures import RequestError
from chaoskit.tiers.ladder import Step, StepLadder, Switch
from chaoskit.tiers.metrics_reader import MetricsReader
from chaoskit.tiers.saturation import Telemetry
from chaoskit.tiers.settings import Controls
from chaoskit.tiers.tracing import OpenSpan, Tracer
from chaoskit.timer import AbsoluteTimer

_FIRST_METRICS = 500_000_000  # ns from the start in which the ladder waits for the first metrics
REASON_HEADER = "x-llm-d-request-dropped-reason"
_SENTENCES = {
    "saturated": "the model is saturated, and this class waits for others",
    "queue-full": "too many requests wait",
    "displaced": "a more important request took the place in the queue",
    "ttl-expired": "it has waited too long",
    "budget": "as many requests of this class run as may",
    "concurrency-limit": "as many requests are in flight as the limiter allows",
}


class Gatekeeper:
    """Admission and ladder of one gateway. `start` it in its loop; `close` ends what it has begun."""

    def __init__(self, controls: Controls, timer: AbsoluteTimer, reader: MetricsReader, tracer: Tracer) -> None:
        self._controls = controls
        self._timer, self._reader, self._tracer = timer, reader, tracer
        telemetry = Telemetry(controls.models if controls.needs_telemetry else (), controls.admission.stale_after)
        self._telemetry = telemetry
        self._admission = Admission(controls.admission, telemetry)
        self._ladder = StepLadder(controls.ladder) if controls.ladder is not None else None
        self._first_tokens = RecentTimes(controls.ladder.window if controls.ladder is not None else 0)
        self._decided: dict[int, asyncio.Future[Decision]] = {}
        self._numbers = self._switches = 0
        self._armed: int | None = None
        self._is_open = False

    def start(self) -> None:
        """Begin to read the models' metrics, and to look at the ladder's signal."""
        self._is_open = True
        if self._controls.needs_telemetry:
            for model in self._controls.models:
                self._reader.start(model, self._controls.admission.poll, self._telemetry_read)
        if self._ladder is not None:
            self._timer.at(now() + _FIRST_METRICS, self._tick)

    def close(self) -> None:
        """Read no more."""
        self._is_open = False
        self._reader.close()

    async def admit(self, asked: Asked, span: OpenSpan) -> Ticket:
        """Return when the request may run. Raises RequestError for one that is refused."""
        at = now()
        self._numbers += 1
        number = self._numbers
        carriage = self._controls.carriage
        name = carriage.read(asked.headers, asked.body) if carriage is not None else None
        rank = self._admission.rank(name)
        if rank.name:
            span.attributes[span_names.TRAFFIC_CLASS] = rank.name
        waiting = asyncio.get_running_loop().create_future()
        self._decided[number] = waiting
        self._tell(self._admission.arrive(number, name, at))
        self._arm()
        try:
            decision = await waiting
        except asyncio.CancelledError:
            span.attributes[span_names.ADMISSION] = "queued"
            span.attributes[span_names.ADMISSION_QUEUE] = now() - at
            self._tell(self._admission.abandoned(number, now()))
            raise
        finally:
            self._decided.pop(number, None)
        span.attributes[span_names.ADMISSION_QUEUE] = decision.waited
        if isinstance(decision, Refused):
            span.attributes[span_names.ADMISSION] = "shed"
            raise self._refusal(decision)
        span.attributes[span_names.ADMISSION] = "queued" if decision.waited else "admitted"
        self._first_tokens.begun(number, asked.received)
        fields = {PRIORITY_FIELD: -rank.priority} if self._controls.tells_priority else {}
        return Ticket(self, number, fields)

    def service(self, asked: Asked) -> Service:
        """What requests get now."""
        del asked
        steps = self._ladder.in_force if self._ladder is not None else ()
        return _service(steps) if steps else FULL

    def first_token(self, number: int, at: int) -> None:
        """The first token of an admitted request is sent."""
        self._first_tokens.answered(number, at)
        self._tell(self._admission.first_token(number, at))

    def ended(self, number: int, at: int, is_whole: bool) -> None:
        """An admitted request has ended."""
        self._first_tokens.ended(number)
        self._tell(self._admission.ended(number, at, is_whole))

    def _refusal(self, decision: Refused) -> RequestError:
        seconds = self._controls.admission.retry_after // 10**9
        headers = ((REASON_HEADER, decision.reason), ("retry-after", str(seconds)))
        status = STATUS[decision.reason]
        return RequestError(
            status, decision.reason, f"{_SENTENCES[decision.reason]}; ask again in {seconds} s", headers
        )

    def _tell(self, decisions: Iterable[Decision]) -> None:
        """Wake those who wait for these. One whose task is being cancelled gives its place back."""
        for each in decisions:
            waiting = self._decided.get(each.number)
            if waiting is not None and not waiting.done():
                waiting.set_result(each)
            elif isinstance(each, Admitted):
                self._tell(self._admission.ended(each.number, now(), is_whole=False))

    def _arm(self) -> None:
        """Look again when the first of those who wait has waited too long."""
        due = self._admission.next_expiry
        if due is not None and (self._armed is None or due < self._armed):
            self._armed = due
            self._timer.at(due, self._expire)

    def _expire(self) -> None:
        self._armed = None
        self._tell(self._admission.expire(now()))
        self._arm()

    def _telemetry_read(self, model: str) -> None:
        """The metrics of a model were read, or could not be."""
        if (found := self._reader.latest(model)) is not None:
            self._telemetry.observe(model, *found)
        self._tell(self._admission.telemetry_changed(now()))

    def _tick(self) -> None:
        if not self._is_open or self._ladder is None:
            return
        at = now()
        for switch in self._ladder.observe(self._signal(at), at):
            self._record(switch)
        self._timer.at(at + self._controls.admission.poll, self._tick)

    def _signal(self, at: int) -> float:
        match self._controls.ladder and self._controls.ladder.signal:
            case "queue":
                return float(self._admission.waiting + self._telemetry.waiting())
            case "first-token":
                return float(self._first_tokens.p95(at))
            case _:
                return self._admission.saturation(at)

    def _record(self, switch: Switch) -> None:
        self._switches += 1
        trace = "".join(f"{derive(self._switches, half, 'ladder', self._tracer.host):016x}" for half in (0, 1))
        span = OpenSpan(self._tracer, trace, trace[:16], None, "degradation", "other", switch.at)
        span.attributes |= {
            span_names.LADDER_STEP: switch.step.name,
            span_names.LADDER_SWITCH: "entered" if switch.is_entered else "released",
            span_names.LADDER_SIGNAL: f"{switch.signal:.6g}",
            span_names.LADDER_THRESHOLD: f"{switch.step.trigger if switch.is_entered else switch.step.release:.6g}",
        }
        span.end()


@dataclass(frozen=True)
class Ticket:
    """An admitted request. `fields` are for the body of what its models are asked."""

    keeper: Gatekeeper
    number: int
    fields: dict[str, int]

    def first_token(self, at: int) -> None:
        """The first bytes of its answer are sent."""
        self.keeper.first_token(self.number, at)

    def ended(self, at: int, is_whole: bool) -> None:
        """It has ended; `is_whole`: without an error."""
        self.keeper.ended(self.number, at, is_whole)


class RecentTimes:
    """Times to the first token in a window, ns. A request that has waited longer than most counts before it has one."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._begun: dict[int, int] = {}
        self._recent: deque[tuple[int, int]] = deque()

    def begun(self, number: int, received: int) -> None:
        """A request that came then is on its way."""
        if self._window:
            self._begun[number] = received

    def answered(self, number: int, at: int) -> None:
        """It has its first token."""
        if (received := self._begun.pop(number, None)) is not None:
            self._recent.append((at, at - received))

    def ended(self, number: int) -> None:
        """It has ended."""
        self._begun.pop(number, None)

    def p95(self, at: int) -> int:
        """Of the window before `at`; 0 where nothing was asked."""
        while self._recent and self._recent[0][0] < at - self._window:
            self._recent.popleft()
        times = [time for _, time in self._recent]
        usual = _p95(times)
        return _p95([*times, *(at - received for received in self._begun.values() if at - received > usual)])


def _p95(values: list[int]) -> int:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))] if values else 0


def _service(steps: tuple[Step, ...]) -> Service:
    breadths = [step.breadth for step in steps if step.breadth is not None]
    lengths = [step.max_tokens for step in steps if step.max_tokens is not None]
    is_single = any(step.name == "single-tool" for step in steps)
    return Service(
        breadth=min(breadths, default=1.0),
        plan="single" if is_single else "all",
        max_tokens=min(lengths, default=None),
        steps=tuple(step.name for step in steps),
    )
