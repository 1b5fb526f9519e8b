"""Implements a kernel in memory for tests, with injected failures and power cuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chaoskit.counters import HopCounters, QueueCounters
from chaoskit.facts import Facts
from chaoskit.knobs import Change, Knob, Pulse, Setting


class PowerCut(BaseException):
    """The fake machine lost power; no further code ran on it."""


@dataclass
class FakeKernel:
    """Implements `knobs.Kernel`. Writes are numbered from 1.

    `fail_at` are the writes that raise `failure` instead of being done. `lose_power_before` and
    `lose_power_after` raise PowerCut at that write; from then on the machine is off and every call
    raises it. Its `settings` are what a restarted machine would find.
    """

    settings: dict[Knob, Setting] = field(default_factory=dict)
    known: Facts = field(default_factory=Facts)
    fail_at: Sequence[int] = ()
    failure: BaseException | None = None
    lose_power_before: int | None = None
    lose_power_after: int | None = None
    writes: list[Change] = field(default_factory=list)
    pulses: list[Pulse] = field(default_factory=list)
    attempts: int = 0
    dark: bool = False

    def facts(self) -> Facts:
        """The facts it was made with."""
        return self.known

    def read(self, knob: Knob) -> Setting:
        """The setting that was written last."""
        self._needs_power()
        return self.settings.get(knob)

    def write(self, knob: Knob, setting: Setting) -> None:
        """Store the setting, unless this write is chosen to fail."""
        self._needs_power()
        self.attempts += 1
        self._cut(self.lose_power_before)
        if self.attempts in self.fail_at and self.failure is not None:
            raise self.failure
        self.writes.append((knob, setting))
        if setting is None:
            self.settings.pop(knob, None)
        else:
            self.settings[knob] = setting
        self._cut(self.lose_power_after)

    def pulse(self, pulse: Pulse) -> None:
        """Record the pulse."""
        self._needs_power()
        self.pulses.append(pulse)

    def holds(self, setting: Setting) -> Setting:
        """The setting itself."""
        return setting

    def counters(self, knob: Knob) -> QueueCounters | None:
        """Counters of zero: no packets pass."""
        self._needs_power()
        return QueueCounters(0, 0, 0, 0, 0, 0, 0) if knob in self.settings else None

    def filter_counters(self, knobs: tuple[Knob, ...]) -> dict[Knob, QueueCounters]:
        """Counters of zero for filters."""
        return {knob: counters for knob in knobs if (counters := self.counters(knob))}

    def hop_counters(self, place: str) -> HopCounters | None:
        """Counters of zero for a namespace."""
        self._needs_power()
        return HopCounters(0, 0, 0) if Knob("namespace", "", place) in self.settings else None

    def owner_sockets(self) -> tuple[int, ...]:
        """No setting depends on a descriptor of this process."""
        return ()

    def _cut(self, at: int | None) -> None:
        if self.attempts == at:
            self.dark = True
            raise PowerCut

    def _needs_power(self) -> None:
        if self.dark:
            raise PowerCut
