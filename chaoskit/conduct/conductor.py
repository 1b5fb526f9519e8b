"""Conducts a run: builds the stage, runs the timeline, restores everything.

Rules: settings are changed only through the journal; whatever happens after the first change ends in a restore, which
no signal can interrupt; the outcome is written last (`outcome.json`). A lab ends with this process, because it is in
namespaces that no other process holds; changes to a real interface have a watchdog.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaoskit import crash_report
from chaoskit.clock import Clock, begin_at, next_tick
from chaoskit.conduct import lease_scope, signals
from chaoskit.conduct.capture_process import capture_of_run
from chaoskit.conduct.hosts.states import HostsKernel
from chaoskit.conduct.lab_hosts import hosts_of
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.looker import Looker
from chaoskit.conduct.machine_file import MachineFile
from chaoskit.conduct.probes import Probes, variables
from chaoskit.conduct.span_receiver import ReceiverTask, SpanReceiver, in_lab, listeners_at_target, trace_seed
from chaoskit.conduct.timeline import TimelineRunner
from chaoskit.engine.apply_restore import apply, examine, restore
from chaoskit.engine.journal import Journal
from chaoskit.engine.lease import state_folder, user_name
from chaoskit.errors import ChaoskitError, CrashError, NotRestoredError, RefusedError
from chaoskit.evidence.lab_connections import LabConnections
from chaoskit.evidence.namespace_counters import NamespaceSampler
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Kernel
from chaoskit.planning.model import InterfacePlan, Plan, load_plan
from chaoskit.records.directory import conclude
from chaoskit.topology.places import Places, places

_SLACK = 10 * 10**9  # ns that a lease is longer than its plan


def conduct(run: Path, clock: Clock) -> int:
    """Conduct the run of `plan.json` in the run directory. Returns the exit code: 0, 2, 3, 4, 70, 130 or 143."""
    plan = load_plan(run)
    outcome, detail, code = "finished", "", 0
    try:
        with signals.raised():
            _check_namespace(plan)
            conductor = Conductor(plan, run, _check_features(plan), clock, trace_seed(plan, clock.now()))
            MachineFile(run).write()
            if plan.interface is not None and plan.interface.hits:
                conductor.run_on_interface(plan.interface)
            else:
                conductor.run_in_lab()
    except signals.Interrupted as signal_name:
        outcome, detail, code = "interrupted", str(signal_name), 128 + signal_name.sign
    except Exception as error:  # noqa: BLE001  everything is restored after any error, and the outcome has to be written
        outcome, detail, code = _failed(crash_report.underlying_error(error))
    conclude(run, outcome, detail)
    return code


def _failed(error: BaseException) -> tuple[str, str, int]:
    """The outcome of a run that this error ended, its detail, and the exit code."""
    match error:
        case NotRestoredError():
            return "dirty", str(error), error.exit_code
        case CrashError():
            return "crashed", str(error), error.exit_code
        case ChaoskitError():
            return "refused", str(error), error.exit_code
        case _:
            return "crashed", crash_report.summary(error), crash_report.print_report(error)


def _check_namespace(plan: Plan) -> None:
    """Raises RefusedError where the plan is for another network namespace: its interface may be another one here."""
    interface = plan.interface
    if interface is not None and interface.namespace not in (None, namespaces.current_inode()):
        raise RefusedError(f"this plan is for {interface.namespace_name}: chaoskit run enters it")


def _check_features(plan: Plan) -> Facts:
    """What this kernel can do. Raises RefusedError when the plan needs more."""
    facts = detect_features()
    missing = facts.lacks(plan.needs)
    if missing:
        answers = "; ".join(f"{feature}: {facts.missing.get(feature, 'missing')}" for feature in missing)
        raise RefusedError(f"kernel {facts.kernel} cannot do this experiment: {answers}; chaoskit doctor")
    return facts


@dataclass(frozen=True)
class Conductor:
    """One run: its plan, its directory, what this kernel can do, and what its requests' traces are drawn from."""

    plan: Plan
    run: Path
    facts: Facts
    clock: Clock
    traces: int | None = None

    def run_in_lab(self) -> None:
        """Build the lab, run the timeline in it, restore. Raises NotRestoredError for what could not be restored.

        Also for a stage on which nothing is changed.
        """
        with self._kernel() as kernel, Journal.at(self.run) as journal:
            knobs = HostsKernel(kernel, self.clock)
            try:
                if self.plan.interface is None:
                    self._run_with_hosts(kernel, knobs, journal)
                else:
                    self._apply_stage(kernel, journal)
                    with self._receiver() as receiver:
                        self._run(kernel, kernel, journal, receiver.check)
                        receiver.await_last()
            finally:
                with signals.held():
                    leftovers = restore(knobs, journal)
            if leftovers:
                raise NotRestoredError("not restored: " + "; ".join(map(str, leftovers)))

    def run_on_interface(self, interface: InterfacePlan) -> None:
        """The same on a real interface, which is restored whichever process dies."""
        request = lease_scope.LeaseRequest(
            command=f"chaoskit run {self.plan.name}",
            user=user_name(os.environ, os.getuid()),
            interface=interface.name,
            length=self.plan.length + self.plan.drain + _SLACK,
            heartbeat=interface.lease,
            run=self.run,
        )
        state = state_folder(os.environ, os.getuid())
        with self._receiver() as receiver:
            with lease_scope.hold_lease(request, self._kernel, state) as held:

                def check() -> None:
                    held.renew()
                    receiver.check()

                examine(held.kernel, [(change.knob, change.setting) for change in self.plan.all_changes])
                self._apply_stage(held.kernel, held.journal)
                self._run(held.kernel, held.kernel, held.journal, check)
            receiver.await_last()

    @property
    def _places(self) -> Places:
        return places(change.knob for change in self.plan.stage)

    def _kernel(self) -> LinuxKernel:
        return LinuxKernel(self.facts, self.clock)

    @property
    def _spans(self) -> ReceiverTask:
        return ReceiverTask(self.run, self.traces or 0, self.plan.telemetry)

    def _receiver(self) -> SpanReceiver:
        return SpanReceiver(self._spans, listeners_at_target(self.plan.telemetry), self.clock)

    def _run_with_hosts(self, kernel: LinuxKernel, knobs: HostsKernel, journal: Journal) -> None:
        self._apply_stage(kernel, journal)
        setup = LabSetup.of(self.plan, variables(self.plan))
        receiver, setup = in_lab(setup, kernel, self._spans, self.clock)

        def check() -> None:
            hosts.check()
            receiver.check()

        with receiver:
            hosts = hosts_of(setup, kernel, self.run, self.clock)
            knobs.hosts = hosts
            try:
                begin_at(self.clock, next_tick(self.clock.now()))
                hosts.start()
                self._run(kernel, knobs, journal, check)
                receiver.await_last()
            finally:
                with signals.held():
                    hosts.stop()

    def _apply_stage(self, kernel: LinuxKernel, journal: Journal) -> None:
        for change in self.plan.stage:
            apply(kernel, journal, (change.knob, change.setting))

    def _run(self, kernel: LinuxKernel, knobs: Kernel, journal: Journal, check: Callable[[], None]) -> None:
        """Run the probes beside the timeline; `check` is called a few times a second."""
        probes = Probes(self.plan, kernel, self.run, self.clock, self.traces)
        machine = MachineFile(self.run)
        machine.add_state(kernel, self._places.all, self.plan.interface.name if self.plan.interface else "")
        with capture_of_run(self.plan, self.run, kernel, self.clock) as capture:
            try:
                start = probes.start()
                with (
                    TimelineRunner(self.plan, self.run, knobs, journal, self.clock) as timeline,
                    LabConnections(self.run, kernel, self._places, self.clock) as connections,
                    Looker(self.plan, self.run, self.clock, start) as looker,
                    NamespaceSampler(self.run, kernel, self._places.all or ("",), self.clock) as sampler,
                ):
                    timeline.at_phase_ends = sampler.sample
                    machine.add_missing("; ".join(connections.missing), capture.missing)
                    machine.write()

                    def look() -> None:
                        check()
                        probes.check()
                        connections.look()
                        capture.check()
                        if looker.check() and looker.end is not None:
                            probes.end_at(looker.end)

                    timeline.run(start, probes.main, look, lambda: looker.end)
                    probes.finish()
                machine.add_end()
                machine.write()
            finally:
                with signals.held():
                    probes.stop()
