"""Defines what the reference gateway does under load: whom it admits, and how it degrades its service.

    admission: {policy: shed, max-in-flight: 96, thresholds: {standard: 1, batch: 0.6}}
    degradation:
      steps:
        - {breadth: 40%, at: 0.6, release: 0.3}
        - {plan: single-tool, at: 0.8, release: 0.6}
        - {max-tokens: 80, at: 1, release: 0.8}

All keys may be given with every policy, so that a matrix can vary the policy alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from chaoskit.faults.schema import Flag, SpecModel, bounded, error_at, exactly_one, short_form, suggestion
from chaoskit.spec.asking import Tokens
from chaoskit.spec.classes import ClassName, TrafficClass
from chaoskit.tiers import admission as pure
from chaoskit.tiers import ladder
from chaoskit.tiers.admission import AdmissionSettings, Rank
from chaoskit.tiers.ladder import LadderSettings
from chaoskit.tiers.limiters import LimiterName, LimiterSettings, Sampled
from chaoskit.units import Duration, Share

_MS = 10**6
_HOUR = Duration(3600 * 10**9)
_NUMBER = re.compile(r"\s*(?:[0-9]{1,6}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})\s*")
_SAFE = 0.6
"""From which saturation the least important class is shed, where the file does not say."""
Wait = Annotated[Duration, bounded(Duration(_MS), _HOUR, "no request waits so long")]
Level = Annotated[float, Field(gt=0, le=1_000_000)]
Places = Annotated[int, Field(ge=1, le=100_000)]


def _whole_seconds(length: Duration) -> Duration:
    if length % 10**9:
        raise ValueError(f"Retry-After is in whole seconds; found {length}")
    return length


RetryAfter = Annotated[
    Duration, bounded(Duration(10**9), _HOUR, "nobody waits so long"), AfterValidator(_whole_seconds)
]


class Limiter(SpecModel):
    """A limit of the requests in flight that follows their latency."""

    name: LimiterName = Field("gradient2", description="Netflix' Gradient2, or Envoy's gradient controller.")
    sampled: Sampled = Field(
        "answer", description="What it takes for latency: whole answers, as both do; or the time to the first token."
    )
    first_limit: Places = Field(20, description="The limit at the start.")
    least: Places = Field(3, description="The lowest limit.")
    most: Places = Field(200, description="The highest one.")

    @model_validator(mode="after")
    def _limits_are_in_order(self) -> Limiter:
        if not self.least <= self.first_limit <= self.most:
            found = f"{self.least}, {self.first_limit}, {self.most}"
            raise ValueError(f"least, first-limit and most are {found}; write them in rising order")
        return self


class AdmissionKeys(SpecModel):
    """Whom the gateway admits, and who waits or is refused."""

    policy: pure.Policy = Field(
        "none",
        description="none: all at once; fcfs: who finds no room waits; priority: the more important go first; shed: as "
        "well, less important classes are refused while the model is saturated; gradient: a limiter refuses.",
    )
    max_in_flight: Places | None = Field(
        None, description="There is room while fewer requests run. Default: while the model's saturation is below 1."
    )
    max_queue: Annotated[int, Field(ge=0, le=100_000)] = Field(1000, description="Most requests that wait.")
    ttl: Wait = Field(Duration(60 * 10**9), description="How long one may wait.")
    thresholds: dict[ClassName, Level] = Field(
        default_factory=dict,
        description="By class, the saturation from which on it is shed; of a limiter: its part of the limit. Default: "
        "from 0.6 for the least important to 1; the most important class is never shed.",
    )
    limiter: Limiter = Field(Limiter(), description="That of `gradient`.")
    retry_after: RetryAfter = Field(Duration(10**9), description="What a refusal's Retry-After says.")
    tells_priority: Flag = Field(
        False,
        description="Models get each request's class as vLLM's `priority`, for `scheduling-policy: priority`.",
    )
    poll: Wait = Field(Duration(50 * _MS), description="How often the model's `/metrics` are read.")
    stale_after: Wait = Field(
        Duration(200 * _MS), description="Older metrics count as saturation 1: a blind gateway sends no more."
    )

    def settings(self, classes: Mapping[str, TrafficClass]) -> AdmissionSettings:
        """As plain data, for requests of these classes."""
        limiter = self.limiter
        return AdmissionSettings(
            policy=self.policy,
            ranks=tuple(Rank(name, each.priority, each.budget) for name, each in classes.items()),
            max_in_flight=self.max_in_flight,
            max_queue=self.max_queue,
            ttl=int(self.ttl),
            thresholds=dict(self.thresholds) or _usual_thresholds(classes),
            limiter=LimiterSettings(limiter.name, limiter.sampled, limiter.first_limit, limiter.least, limiter.most),
            retry_after=int(self.retry_after),
            poll=int(self.poll),
            stale_after=int(self.stale_after),
        )

    def errors(self, classes: Mapping[str, TrafficClass]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What is wrong with it in a file with these classes, and where."""
        if self.policy in ("priority", "shed") and len(classes) < 2:
            how = "needs classes to tell requests apart"
            yield f"{self.policy} {how}; write classes: at the top of the file, or policy: fcfs", ("policy",)
        for name in self.thresholds:
            if name not in classes:
                hint = suggestion(name, classes) if classes else "write classes: at the top of the file"
                yield f"{name!r} is no class of this file; {hint}", ("thresholds", name)
        yield from self._unordered(classes)

    def _unordered(self, classes: Mapping[str, TrafficClass]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Classes that would be shed before less important ones."""
        levels = {name: self.thresholds.get(name, math.inf) for name in classes} if self.thresholds else {}
        ranked = sorted(levels, key=lambda name: classes[name].priority)
        for lower, higher in pairwise(ranked):
            if classes[lower].priority < classes[higher].priority and levels[higher] < levels[lower]:
                never = levels[lower] == math.inf
                hint = f"give {lower} a threshold too" if never else f"write {levels[lower]:g} or more"
                yield f"{higher} is more important than {lower}, and is shed before it; {hint}", ("thresholds", higher)


WrittenAdmission = Annotated[
    AdmissionKeys, BeforeValidator(short_form("policy"), json_schema_input_type=AdmissionKeys | pure.Policy)
]


def _usual_thresholds(classes: Mapping[str, TrafficClass]) -> dict[str, float]:
    """From `_SAFE` for the lowest priority up to 1 for the second highest; none for the highest."""
    priorities = sorted({each.priority for each in classes.values()})[:-1]
    step = (1 - _SAFE) / max(1, len(priorities) - 1)
    levels = {priority: round(_SAFE + number * step, 6) for number, priority in enumerate(priorities)}
    return {name: levels[each.priority] for name, each in classes.items() if each.priority in levels}


def _written_level(words: Any) -> Any:
    """A number that no file has: as its text."""
    return f"{words:g}" if isinstance(words, int | float) and not isinstance(words, bool) else words


def _level(words: str) -> str:
    if not _NUMBER.fullmatch(words):
        try:
            Duration.parse(words)
        except ValueError:
            raise ValueError(f"found {words[:60]!r}, expected a number such as 0.8, or a time such as 2s") from None
    return words


WrittenLevel = Annotated[
    str,
    BeforeValidator(_written_level),
    AfterValidator(_level),
    Field(json_schema_extra={"type": ["string", "number"]}),
]


def _value(words: str, signal: str) -> float:
    """A level of this signal: a number, or ns. Raises ValueError where it is of the other kind."""
    is_number = _NUMBER.fullmatch(words) is not None
    if signal == "first-token" and is_number:
        raise ValueError(f"{words} has no unit, and first-token is a time; write {words}s")
    if signal != "first-token" and not is_number:
        raise ValueError(f"{words} is a time, and {signal} is a number; write for example 0.8, or signal: first-token")
    return float(words) if is_number else float(Duration.parse(words))


class StepKeys(SpecModel):
    """One step of degradation, and when it is in force."""

    model_config = exactly_one("breadth", "plan", "max-tokens")

    breadth: Share | None = Field(None, description="Results of each retrieval, of those that the workflow asks for.")
    plan: Literal["single-tool"] | None = Field(None, description="One call of a tool at most.")
    max_tokens: Tokens | None = Field(None, description="The longest answer.")
    at: WrittenLevel = Field(
        description="Its trigger: in force when the signal reaches it; a number, or a time for first-token."
    )
    release: WrittenLevel = Field(description="Released when the signal has not been above it for `hold`.")

    @property
    def name(self) -> ladder.StepName:
        """What marks the answers."""
        return "breadth" if self.breadth is not None else "single-tool" if self.plan is not None else "concise"

    @model_validator(mode="after")
    def _one_measure(self) -> StepKeys:
        found = [key for key in ("breadth", "plan", "max_tokens") if getattr(self, key) is not None]
        if len(found) != 1:
            several = f"{' and '.join(found).replace('_', '-')} are two steps" if found else "does nothing"
            raise ValueError(f"{several}; write one of breadth: 40%, plan: single-tool, max-tokens: 80")
        return self


def _steps(words: Any) -> Any:
    """A list of steps in short."""
    return {"steps": words} if isinstance(words, list | tuple) else words


class DegradationKeys(SpecModel):
    """Steps in which the gateway does less for each request, while a signal is high."""

    signal: ladder.Signal | Literal["none"] = Field(
        "saturation",
        description="saturation: of the model; queue: requests that wait, here and at the model; first-token: the p95 "
        "of recent first tokens; none: no step is ever in force, to compare with.",
    )
    hold: Annotated[Duration, bounded(None, _HOUR, "no run lasts so long")] = Field(
        Duration(5 * 10**9), description="How long the signal must be low before a step is released."
    )
    window: Wait = Field(Duration(10 * 10**9), description="How long a first token is recent.")
    steps: Annotated[tuple[StepKeys, ...], Field(min_length=1, max_length=3)] = Field(
        description="By rising triggers: breadth first, then tools, then length."
    )

    @model_validator(mode="after")
    def _steps_do_not_overlap(self) -> DegradationKeys:
        bands: list[tuple[float, float]] = []
        for number, step in enumerate(self.steps):
            band: dict[str, float] = {}
            for key, words in (("at", step.at), ("release", step.release)):
                try:
                    band[key] = _value(words, self.signal)
                except ValueError as error:
                    raise error_at(str(error), "steps", number, key) from None
            bands.append((band["release"], band["at"]))
            self._check_band(number, bands)
        names = [step.name for step in self.steps]
        for number, name in enumerate(names):
            if name in names[:number]:
                first = names.index(name)
                raise error_at(f"the same measure as steps.{first}; keep one of them", "steps", number)
        return self

    def _check_band(self, number: int, bands: list[tuple[float, float]]) -> None:
        """Raises for a band that is empty, or overlaps the one before."""
        step, (release, at) = self.steps[number], bands[number]
        if release >= at:
            sentence = f"released at {step.release}, and in force from {step.at} on: it would switch without end"
            raise error_at(f"{sentence}; write a release below {step.at}", "steps", number, "release")
        if not number:
            return
        before, top = self.steps[number - 1], bands[number - 1][1]
        if at <= top:
            sentence = f"its trigger {step.at} is not above that of the step before, {before.at}"
            raise error_at(f"{sentence}; write them in rising order", "steps", number, "at")
        if release < top:
            sentence = f"{step.release} to {step.at} overlaps {before.release} to {before.at} of the step before"
            raise error_at(f"{sentence}; write release: {before.at} or more", "steps", number, "release")

    @property
    def settings(self) -> LadderSettings | None:
        """As plain data; None where no step is ever in force."""
        if self.signal == "none":
            return None
        return LadderSettings(
            steps=tuple(
                ladder.Step(
                    name=step.name,
                    trigger=_value(step.at, self.signal),
                    release=_value(step.release, self.signal),
                    breadth=None if step.breadth is None else step.breadth / Share.largest,
                    max_tokens=step.max_tokens,
                )
                for step in self.steps
            ),
            signal=self.signal,
            hold=int(self.hold),
            window=int(self.window),
        )


WrittenDegradation = Annotated[
    DegradationKeys, BeforeValidator(_steps, json_schema_input_type=DegradationKeys | list[StepKeys])
]
