"""The conductor: builds the stage, walks the timeline, puts everything back.

Rules: nothing is set but through the journal; whatever happens after the first change ends in a restore,
which no signal can break off; how it went is the last thing written (`outcome.json`). A lab dies with us, for it
is in namespaces that nobody else holds; what is on a real interface has a guard.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from chaoskit import __version__, crash_report
from chaoskit.clock import Clock, now, wall
from chaoskit.conduct import lab_server, lease_scope, signals
from chaoskit.conduct.timeline import TimelineRunner
from chaoskit.conduct.worker import Worker
from chaoskit.engine.apply_restore import apply, examine, restore
from chaoskit.engine.journal import Journal
from chaoskit.engine.lease import state_folder, user
from chaoskit.errors import ChaoskitError, CrashError, NotRestoredError, RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.features import survey
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.plan.model import OnInterface, Plan, load_plan
from chaoskit.probe.drive import drive, warm_up
from chaoskit.probe.socket_options import check_supported
from chaoskit.probe.target import DriveOptions, SocketOptions, Target
from chaoskit.records.directory import conclude

_LEAD = 500_000_000  # ns that the probe has to prepare its first request
_SLACK = 10 * 10**9  # ns that a lease may be longer than what its plan says


def conduct(run: Path, clock: Clock) -> int:
    """Do what `plan.json` in the run directory says. Returns the exit code: 0, 2, 3, 4, 70, 130 or 143."""
    plan = load_plan(run)
    how, detail, code = "finished", "", 0
    try:
        with signals.raised():
            conductor = Conductor(plan, run, _able(plan), clock)
            _note_machine(run)
            if plan.interface is not None and plan.interface.hits:
                conductor.under_guard(plan.interface)
            else:
                conductor.in_a_lab()
    except signals.Interrupted as signal_name:
        how, detail, code = "interrupted", str(signal_name), 128 + signal_name.sign
    except Exception as error:  # noqa: BLE001  whatever it was, all is put back, and how it went has to be written down
        how, detail, code = _failed(crash_report.fault_of(error))
    conclude(run, how, detail)
    return code


def _failed(fault: BaseException) -> tuple[str, str, int]:
    """How it went, when this ended it; what there is to say about that; the exit code."""
    match fault:
        case NotRestoredError():
            return "dirty", str(fault), fault.exit_code
        case CrashError():
            return "crashed", str(fault), fault.exit_code
        case ChaoskitError():
            return "refused", str(fault), fault.exit_code
        case _:
            return "crashed", crash_report.summary(fault), crash_report.tell(fault)


def _able(plan: Plan) -> Facts:
    """What this kernel can do, when that is enough."""
    facts = survey()
    lacking = facts.lacks(plan.needs)
    if lacking:
        answers = "; ".join(f"{feature}: {facts.missing.get(feature, 'missing')}" for feature in lacking)
        raise RefusedError(f"kernel {facts.kernel} cannot do this experiment: {answers}; chaoskit doctor")
    return facts


@dataclass(frozen=True)
class Conductor:
    """One run: what to do, where to write it down, what the kernel can do that it is done in."""

    plan: Plan
    run: Path
    facts: Facts
    clock: Clock

    def in_a_lab(self) -> None:
        """Build the lab, walk the timeline in it, put all back. Raises NotRestoredError for what could not be.

        Also for a stage of which nothing is changed.
        """
        with self._kernel() as kernel, Journal.at(self.run) as journal:
            try:
                self._perform(kernel, journal, lambda: None)
            finally:
                with signals.held():
                    debts = restore(kernel, journal)
            if debts:
                raise NotRestoredError("not put back: " + "; ".join(str(debt) for debt in debts))

    def under_guard(self, there: OnInterface) -> None:
        """The same on a real interface, which is as it was in the end, whatever dies."""
        order = lease_scope.LeaseRequest(
            command=f"chaoskit run {self.plan.name}",
            by=user(os.environ, os.getuid()),
            interface=there.name,
            length=self.plan.length + self.plan.drain + _SLACK,
            heartbeat=there.lease,
            run=self.run,
        )
        state = state_folder(os.environ, os.getuid())
        with lease_scope.hold_lease(order, self._kernel, state) as held:
            examine(held.kernel, [(change.knob, change.setting) for change in self.plan.all_changes])
            self._perform(held.kernel, held.journal, held.renew)

    def _kernel(self) -> LinuxKernel:
        return LinuxKernel(self.facts, self.clock)

    def _perform(self, kernel: LinuxKernel, journal: Journal, renew: Callable[[], None]) -> None:
        children: list[Worker] = []
        check_supported(target_of(self.plan).sockets)
        try:
            for change in self.plan.stage:
                apply(kernel, journal, (change.knob, change.setting))
            if self.plan.server is not None:
                children.append(lab_server.start(self.plan, kernel, self.run))
            probe, start = self._probe(kernel)
            children.append(probe)
            with TimelineRunner(self.plan, self.run, kernel, journal, self.clock) as walk:
                walk.through(start, children, renew)
        finally:
            with signals.held():
                for child in reversed(children):
                    child.stop(self.clock)

    def _probe(self, kernel: LinuxKernel) -> tuple[Worker, int]:
        """The probe, and the moment that it will begin: it names that itself, once it is ready."""
        plan, target = self.plan, target_of(self.plan)
        told, tell = os.pipe()

        async def work(stop: asyncio.Event) -> None:
            await warm_up()
            start = now() + _LEAD
            os.write(tell, str(start).encode())
            os.close(tell)
            await drive(target, plan.workload, DriveOptions(plan.seed, start, plan.length, plan.drain), self.run, stop)

        child = Worker("probe", kernel.inside("client" if plan.interface is None else ""), work)
        os.close(tell)
        with open(told, "rb") as pipe:  # noqa: PTH123  a descriptor, not a path
            start = pipe.read(32)  # nothing, when it died before it was ready
        return child, int(start or 0)


def target_of(plan: Plan) -> Target:
    """Whom the probe asks, with sockets tuned; in a lab the algorithm is its namespace's."""
    there, tuned = plan.interface, SocketOptions(maxseg=plan.client.maxseg)
    if there is None:
        return Target(plan.target, "chaoskit", ca_file=lab_server.root(plan), sockets=tuned)
    return Target(
        plan.target,
        there.model,
        key_env=there.key_env,
        addresses=there.target_addresses,
        sockets=replace(tuned, congestion_control=plan.client.congestion_control),
    )


def _note_machine(run: Path) -> None:
    machine = {
        "chaoskit": __version__,
        "kernel": platform.release(),
        "clock": "virtual" if "time-travel=" in _first_line("/proc/cmdline") else "real",
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "started": wall(),
        "congestion-control": _first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
    }
    (run / "machine.json").write_text(json.dumps(machine, indent=1) + "\n")


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
