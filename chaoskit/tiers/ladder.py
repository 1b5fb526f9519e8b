"""Degrades a service step by step, and lets go again, by what a signal says.

A step comes into force as soon as the signal reaches its trigger, and is released when the signal has not been above
its release threshold for `hold`; one step after the other, the last one first. The bands between release and trigger
do not overlap (`spec.admission` refuses others), so that the steps in force are always the first ones. Pure: the time
is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StepName = Literal["breadth", "single-tool", "concise"]
Signal = Literal["saturation", "queue", "first-token"]
"""What a ladder looks at: the model's saturation, requests that wait, or the p95 of recent first tokens, ns."""


@dataclass(frozen=True)
class Step:
    """One step: what it is called, what it does, and its band.

    `breadth` is the share of the asked breadth that is left, `max_tokens` the longest answer; None: unchanged.
    """

    name: StepName
    trigger: float
    release: float
    breadth: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class LadderSettings:
    """Steps by rising triggers of one signal. `window`: how long a first token is recent, ns."""

    steps: tuple[Step, ...]
    signal: Signal = "saturation"
    hold: int = 5 * 10**9
    window: int = 10 * 10**9


@dataclass(frozen=True)
class Switch:
    """A step came into force, or was released, when the signal was so high."""

    step: Step
    is_entered: bool
    at: int
    signal: float


class StepLadder:
    """The steps in force."""

    def __init__(self, settings: LadderSettings) -> None:
        self.switches = 0
        self._settings = settings
        self._level = 0
        self._low_since: int | None = None

    @property
    def in_force(self) -> tuple[Step, ...]:
        """The steps in force, in order."""
        return self._settings.steps[: self._level]

    def observe(self, signal: float, now: int) -> tuple[Switch, ...]:
        """The signal is so high now. Returns what changes."""
        found = (*self._entered(signal, now), *self._released(signal, now))
        self.switches += len(found)
        return found

    def _entered(self, signal: float, now: int) -> list[Switch]:
        found = []
        steps = self._settings.steps
        while self._level < len(steps) and signal >= steps[self._level].trigger:
            found.append(Switch(steps[self._level], True, now, signal))
            self._level += 1
            self._low_since = None
        return found

    def _released(self, signal: float, now: int) -> list[Switch]:
        if not self._level or signal > (last := self._settings.steps[self._level - 1]).release:
            self._low_since = None
            return []
        if self._low_since is None:
            self._low_since = now
        if now - self._low_since < self._settings.hold:
            return []
        self._level -= 1
        self._low_since = now  # the next step has its own time
        return [Switch(last, False, now, signal)]
