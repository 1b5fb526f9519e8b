"""Runs a plan's timeline: sets every phase's knobs on time, samples counters, drains at the end.

Phases begin at absolute times from the start, so that a slow change shortens its own phase and no other. What a phase
puts back before its end is put back at the first tick from then on. The start and all waits end on multiples of a tick:
the kernel's timers tick too, and what they meet must not depend on imports.
On a real interface the lease is renewed regularly, and the interface's clsact is checked: without it no fault is in
force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from chaoskit.clock import TICK, Clock, next_tick
from chaoskit.conduct.worker import Worker
from chaoskit.engine.apply_restore import apply
from chaoskit.engine.journal import Journal
from chaoskit.errors import RefusedError
from chaoskit.evidence.counters import sample, sample_hop, sample_sizes
from chaoskit.knobs import Kernel, Knob, Setting
from chaoskit.planning.model import Plan, PlannedChange, PlannedPhase
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Counters, Hop, Phase

_SECOND = 10**9
_ON_TIME = 1_000_000  # ns
_GRACE = 5 * _SECOND  # that the probe may take to end after its drain


class TimelineRunner:
    """One pass over a plan's phases, from a given start; a context manager."""

    at_phase_ends: Callable[[Phase], None]
    """What is called at both ends of each phase."""

    def __init__(self, plan: Plan, run: Path, kernel: Kernel, journal: Journal, clock: Clock) -> None:
        self.at_phase_ends = lambda phase: None
        self._plan, self._kernel, self._journal, self._clock = plan, kernel, journal, clock
        self._check: Callable[[], None] = lambda: None
        self._phases, self._counters, self._hops = Log(run, Phase), Log(run, Counters), Log(run, Hop)
        self._knobs = [change.knob for change in plan.phases[0].changes]
        self._baseline = {knob: kernel.read(knob) for knob in self._knobs}
        self._in_force = dict(self._baseline)
        self._ends: list[tuple[int, Knob]] = []

    def __enter__(self) -> TimelineRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self._phases.close()
        self._counters.close()
        self._hops.close()

    def run(
        self,
        start: int,
        probe: Worker,
        check: Callable[[], None] = lambda: None,
        end: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Run all phases, then wait until the probe has ended its streams.

        `check` is called a few times a second; it raises what ends the run. `end` is asked after each phase for a
        stamp: the phase that ends there is the last one.
        """
        self._check = check
        until = begin = start
        for number, planned in enumerate(self._plan.phases):
            begin = _began(until, self._clock.now()) if number else start
            until += planned.length
            self._enter(planned, begin, until)
            self._wait(until, probe)
            if (last := end()) is not None and until >= last:
                break
        over = max(until, begin)  # a busy machine may enter the last phase after its planned end
        self._phase = Phase("drain", planned.round, planned.faults, over, over, until + self._plan.drain)
        self._record_phase(self._phase)
        self._wait_for(probe, until + self._plan.drain + _GRACE)

    def _enter(self, planned: PlannedPhase, begin: int, until: int) -> None:
        for change in _in_order(planned):
            self._set(change.knob, change.setting if change.setting is not None else self._baseline[change.knob])
        self._ends = sorted(((begin + after, knob) for after, knob in planned.ends), key=lambda each: each[0])
        for pulse in planned.pulses:
            self._kernel.pulse(pulse)
        ready = max(begin, self._clock.now())
        self._phase = Phase(planned.name, planned.round, planned.faults, begin, ready, until)
        self._record_phase(self._phase)

    def _set(self, knob: Knob, wanted: Setting) -> None:
        if self._in_force[knob] != wanted:
            apply(self._kernel, self._journal, (knob, wanted))
            self._in_force[knob] = wanted

    def _end(self) -> None:
        """Put back what is due."""
        while self._ends and self._ends[0][0] <= self._clock.now():
            _, knob = self._ends.pop(0)
            self._set(knob, self._baseline[knob])

    def _record_phase(self, phase: Phase) -> None:
        self._phases.add(phase)
        self._phases.flush()
        self._sample_all()

    def _wait(self, until: int, probe: Worker) -> None:
        sampled = self._clock.now() // TICK * TICK
        while (now := self._clock.now()) < until:
            _require_alive(probe)  # at `until` itself it may have ended
            self._clock.sleep_until(min(until, next_tick(now)))
            if self._clock.now() < until:
                self._end()
            self._check()
            if self._clock.now() - sampled >= _SECOND:
                sampled += _SECOND
                self._sample()
        self._sample_all()

    def _wait_for(self, probe: Worker, until: int) -> None:
        while probe.is_alive and self._clock.now() < until:
            self._clock.sleep_until(next_tick(self._clock.now()))
            self._check()
        self._sample_all()

    def _sample_all(self) -> None:
        self._sample()
        now = self._clock.now()
        sample_sizes(self._kernel, self._plan.topology, self._knobs, self._phase, now, self._counters)
        sample_hop(self._kernel, self._plan.topology, self._knobs, self._phase, now, self._hops)
        self.at_phase_ends(self._phase)

    def _sample(self) -> None:
        self._require_interface()
        sample(self._kernel, self._knobs, self._phase, self._clock.now(), self._counters)

    def _require_interface(self) -> None:
        for change in self._plan.stage:
            if change.knob.kind == "clsact" and change.knob.place == "" and self._kernel.read(change.knob) is None:
                raise RefusedError(
                    f"{change.knob.name} was removed during the run, or its clsact was: no fault was in "
                    f"force any more; see ip -d link show {change.knob.name}, and run again"
                )


def _in_order(planned: PlannedPhase) -> Iterator[PlannedChange]:
    """First what ends, the last one set before the others, as in a restore; then what begins."""
    yield from (change for change in reversed(planned.changes) if change.setting is None)
    yield from (change for change in planned.changes if change.setting is not None)


def _began(planned: int, now: int) -> int:
    """When a phase began: as planned, unless the machine was too busy for it.

    What is due at that very moment is this phase's; in virtual time its faults are set first (see `processor_order`).
    """
    return planned if now - planned < _ON_TIME else now


def _require_alive(probe: Worker) -> None:
    if not probe.is_alive:
        raise RefusedError(f"the {probe.name} ended before the timeline did; this is a mistake in chaoskit")
