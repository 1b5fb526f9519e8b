"""Says of each step of a degradation ladder whether it was reached, helped, was released, was told.

A gateway records each switch as a span with the step and the signal; the requests under a step have its name in their
spans, and their answers have it in `x-degraded`. What a step buys is seen beside the requests of the same phase without
it: they came at a calmer time, so a step that keeps up with them under load has bought what the load would have cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import ClassVar

from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.finite_json import FiniteJson
from chaoskit.records import span_names
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Request
from chaoskit.records.spans import Span
from chaoskit.tiers.ladder import LadderSettings, Signal, Step
from chaoskit.units import Duration, counted

_MS, _SECOND = 1_000_000, 1_000_000_000
_SOON = 2  # holds: a step that comes back into force so soon after its release oscillates
_WORST = 5
_OK = 200


class LadderStep(FiniteJson):
    """One step: how often and how long it was in force, at which signal it began, and what its requests show.

    `signals` are those at which it came into force. `ttft_ms`, `prompt_tokens` and `output_tokens` are medians of the
    answered requests with it, and those with `_before` of the requests before the ladder's first switch.
    """

    why_missing: ClassVar = dict.fromkeys(
        ("ttft_ms", "prompt_tokens", "output_tokens"), "no answered request had it"
    ) | dict.fromkeys(("ttft_ms_before", "prompt_tokens_before", "output_tokens_before"), "none is known")
    step: str
    trigger: float
    release: float
    entered: int
    released: int
    re_entered: int
    seconds: float
    signals: tuple[float, ...]
    requests: int
    unmarked: tuple[int, ...]
    ttft_ms: float | None
    ttft_ms_before: float | None
    prompt_tokens: float | None
    prompt_tokens_before: float | None
    output_tokens: float | None
    output_tokens_before: float | None
    sentence: str


class LadderResult(FiniteJson):
    """The ladder of one gateway. `oscillates`: a step came back within two holds of its release."""

    host: str
    signal: Signal
    switches: int
    oscillates: bool
    in_force_at_end: tuple[str, ...]
    steps: tuple[LadderStep, ...]
    evidence: Evidence


@dataclass(frozen=True)
class _Stay:
    """A stretch in which a step was in force. `end` None: until the end of the run."""

    begin: int
    end: int | None
    signal: float


@dataclass(frozen=True)
class _Asked:
    """A request with what its spans tell."""

    request: Request
    steps: frozenset[str]
    begin: int
    prompt: int | None
    output: int | None


def is_switch(span: Span) -> bool:
    """Whether it is a ladder's switch, and no hop of a request."""
    return span_names.LADDER_STEP in span.attributes


def ladder_result(
    host: str, settings: LadderSettings, requests: Sequence[Request], spans: Sequence[Span]
) -> LadderResult:
    """What the ladder of this host did."""
    switches = sorted((s for s in spans if s.host == host and is_switch(s)), key=lambda span: span.begin)
    until = max((span.end for span in spans), default=0)
    asked = list(_asked(host, requests, spans))
    first = switches[0].begin if switches else None
    before = [each for each in asked if first is None or each.begin < first]
    stays = {step.name: _stays(step.name, switches) for step in settings.steps}
    steps = tuple(_step(step, stays[step.name], asked, before, settings, until) for step in settings.steps)
    return LadderResult(
        host=host,
        signal=settings.signal,
        switches=len(switches),
        oscillates=any(step.re_entered for step in steps),
        in_force_at_end=tuple(name for name, found in stays.items() if found and found[-1].end is None),
        steps=steps,
        evidence=Evidence(file=FILES[Span], count=len(switches)),
    )


def _asked(host: str, requests: Iterable[Request], spans: Iterable[Span]) -> Iterable[_Asked]:
    workflows: dict[str, Span] = {}
    models: dict[str, Span] = {}
    for span in spans:
        if span.operation == "workflow" and span.host == host:
            workflows.setdefault(span.trace, span)
        elif span_names.MODEL_PROMPT_TOKENS in span.attributes:
            models[span.trace] = span
    for request in requests:
        workflow = workflows.get(request.trace or "")
        if workflow is None:
            continue
        told = str(workflow.attributes.get(span_names.DEGRADED, ""))
        model = models.get(workflow.trace)
        counts = {} if model is None else model.attributes
        yield _Asked(
            request,
            frozenset(filter(None, told.split(","))),
            workflow.begin,
            _number(counts, span_names.MODEL_PROMPT_TOKENS),
            _number(counts, span_names.MODEL_OUTPUT_TOKENS),
        )


def _number(attributes: Mapping[str, str | int | bool], name: str) -> int | None:
    found = attributes.get(name)
    return found if type(found) is int else None


def _stays(name: str, switches: Iterable[Span]) -> list[_Stay]:
    found: list[_Stay] = []
    for span in switches:
        if span.attributes[span_names.LADDER_STEP] != name:
            continue
        if span.attributes.get(span_names.LADDER_SWITCH) == "entered":
            found.append(_Stay(span.begin, None, _float(span.attributes.get(span_names.LADDER_SIGNAL))))
        elif found and found[-1].end is None:
            found[-1] = _Stay(found[-1].begin, span.begin, found[-1].signal)
    return found


def _float(words: object) -> float:
    try:
        return float(str(words))
    except ValueError:
        return 0.0


def _step(
    step: Step,
    stays: Sequence[_Stay],
    asked: Sequence[_Asked],
    before: Sequence[_Asked],
    settings: LadderSettings,
    until: int,
) -> LadderStep:
    with_it = [each for each in asked if step.name in each.steps]
    answered = [each for each in with_it if each.request.status == _OK]
    unmarked = [each.request.stream for each in answered if step.name not in (each.request.degraded or "").split(",")]
    soon = _SOON * max(settings.hold, _SECOND)
    back = sum(earlier.end is not None and later.begin - earlier.end <= soon for earlier, later in pairwise(stays))
    values = {
        "ttft_ms": (_ttft(answered), _ttft(before)),
        "prompt_tokens": (_middle(each.prompt for each in answered), _middle(each.prompt for each in before)),
        "output_tokens": (_middle(each.output for each in answered), _middle(each.output for each in before)),
    }
    length = sum((until if stay.end is None else stay.end) - stay.begin for stay in stays)
    released = sum(stay.end is not None for stay in stays)
    facts = _Facts(step, tuple(stays), length, released, back, len(answered), len(unmarked), values, settings.signal)
    return LadderStep(
        step=step.name,
        trigger=step.trigger,
        release=step.release,
        entered=len(stays),
        released=released,
        re_entered=back,
        seconds=length / _SECOND,
        signals=tuple(stay.signal for stay in stays[:_WORST]),
        requests=len(with_it),
        unmarked=tuple(unmarked[:_WORST]),
        ttft_ms=values["ttft_ms"][0],
        ttft_ms_before=values["ttft_ms"][1],
        prompt_tokens=values["prompt_tokens"][0],
        prompt_tokens_before=values["prompt_tokens"][1],
        output_tokens=values["output_tokens"][0],
        output_tokens_before=values["output_tokens"][1],
        sentence=facts.sentence,
    )


def _ttft(asked: Iterable[_Asked]) -> float | None:
    return _middle(
        (each.request.first_token - each.request.scheduled) / _MS
        for each in asked
        if each.request.first_token is not None
    )


def _middle(values: Iterable[float | int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


@dataclass(frozen=True)
class _Facts:
    """What a step's sentence is made of."""

    step: Step
    stays: tuple[_Stay, ...]
    length: int
    released: int
    back: int
    answered: int
    unmarked: int
    values: Mapping[str, tuple[float | None, float | None]]
    signal: Signal

    @property
    def sentence(self) -> str:
        """For people."""
        if not self.stays:
            return f"{self.step.name} was never reached: {self.signal} stayed below {self._shown(self.step.trigger)}"
        times = "once" if len(self.stays) == 1 else counted(len(self.stays), "time")
        parts = [
            f"{self.step.name} was in force {times}, {self.length / _SECOND:.1f} s in all, first at {self.signal} "
            f"{self._shown(self.stays[0].signal)} (trigger {self._shown(self.step.trigger)})"
        ]
        if self.released < len(self.stays):
            parts.append("was not released before the end")
        if self.back:
            parts.append(f"came back soon after its release {counted(self.back, 'time')}: it oscillates")
        if self.unmarked:
            parts.append(f"{self.unmarked} of its {counted(self.answered, 'answer')} did not say so")
        if (bought := self._bought()) is not None:
            parts.append(bought)
        return "; ".join(parts)

    def _bought(self) -> str | None:
        names = {"ttft_ms": ("first token p50", " ms"), "prompt_tokens": ("prompt", " tokens")}
        names["output_tokens"] = ("answer", " tokens")
        said = [
            f"{noun} {now:.0f}{unit}, before {before:.0f}{unit}"
            for key, (noun, unit) in names.items()
            for now, before in [self.values[key]]
            if now is not None and before is not None
        ]
        return ", ".join(said) or None

    def _shown(self, value: float) -> str:
        return str(Duration(round(value))) if self.signal == "first-token" else f"{value:.3g}"
