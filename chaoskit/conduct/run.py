"""The conductor: builds the stage, walks the timeline, puts everything back.

Rules: nothing is set but through the journal; whatever happens after the first change ends in a restore,
which no signal can break off; how it went is the last thing written (`outcome.json`).
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from chaoskit import __version__
from chaoskit.clock import Clock, now, wall
from chaoskit.conduct.children import Child
from chaoskit.conduct.walk import Walk
from chaoskit.engine.journal import Journal
from chaoskit.engine.session import apply, restore
from chaoskit.errors import NotRestoredError, RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.survey import survey
from chaoskit.plan.model import Plan, load_plan
from chaoskit.probe.drive import drive, warm_up
from chaoskit.probe.target import Order, Target
from chaoskit.records.directory import conclude
from chaoskit.records.files import Log
from chaoskit.records.model import Served
from chaoskit.server.app import serve
from chaoskit.server.script import Script

_LEAD = 500_000_000  # ns that the probe has to prepare its first request


class Interrupted(BaseException):
    """A signal asked us to end. Not an error: everything is put back."""

    def __init__(self, sign: int) -> None:
        super().__init__(signal.Signals(sign).name)
        self.sign = sign


def conduct(run: Path, clock: Clock) -> int:
    """Do what `plan.json` in the run directory says. Returns the exit code: 0, 3, 4, 130 or 143."""
    plan = load_plan(run)
    how, detail, code = "finished", "", 0
    try:
        with _signals_raise(), LinuxKernel(_able(plan), clock) as kernel:
            _note_machine(run)
            _experiment(plan, run, kernel, clock)
    except Interrupted as signal_name:
        how, detail, code = "interrupted", str(signal_name), 128 + signal_name.sign
    except RefusedError as error:
        how, detail, code = "refused", str(error), error.exit_code
    except NotRestoredError as error:
        how, detail, code = "dirty", str(error), error.exit_code
    conclude(run, how, detail)
    return code


def _able(plan: Plan) -> Facts:
    """What this kernel can do, when that is enough."""
    facts = survey()
    lacking = facts.lacks(plan.needs)
    if lacking:
        answers = "; ".join(f"{feature}: {facts.missing.get(feature, 'missing')}" for feature in lacking)
        raise RefusedError(f"kernel {facts.kernel} cannot do this experiment: {answers}; chaoskit doctor")
    return facts


def _experiment(plan: Plan, run: Path, kernel: LinuxKernel, clock: Clock) -> None:
    children: list[Child] = []
    with Journal(run) as journal:
        try:
            for change in plan.stage:
                apply(kernel, journal, (change.knob, change.setting))
            children.append(_server(plan, run, kernel))
            probe, start = _probe(plan, run, kernel)
            children.append(probe)
            with Walk(plan, run, kernel, journal, clock) as walk:
                walk.through(start, children)
        finally:
            with _signals_wait():
                for child in reversed(children):
                    child.stop(clock)
                debts = restore(kernel, journal)
        if debts:
            raise NotRestoredError("not put back: " + "; ".join(str(debt) for debt in debts))


def _server(plan: Plan, run: Path, kernel: LinuxKernel) -> Child:
    family, host = (socket.AF_INET6, "::") if "[" in plan.target else (socket.AF_INET, "0.0.0.0")
    port = int(plan.target.rpartition(":")[2])
    with kernel.inside("server"):
        listener = socket.create_server((host, port), family=family, backlog=1024)
    script = Script.of(plan.server, plan.seed)
    child = Child("server", kernel.inside("server"), lambda stop: serve(listener, script, stop, Log(run, Served)))
    listener.close()
    return child


def _probe(plan: Plan, run: Path, kernel: LinuxKernel) -> tuple[Child, int]:
    """The probe, and the moment that it will begin: it names that itself, once it is ready."""
    target = Target(url=plan.target, model="chaoskit")
    told, tell = os.pipe()

    async def work(stop: asyncio.Event) -> None:
        await warm_up()
        start = now() + _LEAD
        os.write(tell, str(start).encode())
        os.close(tell)
        await drive(target, plan.workload, Order(plan.seed, start, plan.length, plan.drain), run, stop)

    child = Child("probe", kernel.inside("client"), work)
    os.close(tell)
    with open(told, "rb") as pipe:  # noqa: PTH123  a descriptor, not a path
        start = pipe.read(32)  # nothing, when it died before it was ready
    return child, int(start or 0)


@contextmanager
def _signals_raise() -> Iterator[None]:
    def raise_it(sign: int, _frame: FrameType | None) -> None:
        raise Interrupted(sign)

    former = {sign: signal.signal(sign, raise_it) for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for sign, handler in former.items():
            signal.signal(sign, handler)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals that arrive inside are delivered afterwards."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


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
