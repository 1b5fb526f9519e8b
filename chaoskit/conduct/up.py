"""Keeps a lab standing until a signal, with ports of its hosts reachable from this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from chaoskit.conduct import exec, lab_client, port_forward, signals
from chaoskit.conduct.hosts.host_programs import FOLDER, Hosts
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.port_forward import Forward
from chaoskit.conduct.worker import Worker
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.planning.model import Plan
from chaoskit.planning.publish import Published
from chaoskit.terminal import complain
from chaoskit.topology.lab import CLIENT, SERVER

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL = 0.25  # s


@dataclass(frozen=True)
class Standing:
    """What stands: each host with its addresses and what runs on it, the ports here, and the folder of the logs."""

    hosts: tuple[tuple[str, tuple[str, ...], str], ...]
    forwards: tuple[tuple[str, str], ...]
    logs: Path | None


def up(plan: Plan, forwards: tuple[Forward, ...], run: Path, show: Callable[[Standing], None]) -> int:
    """Build the lab, `show` it, and wait for a signal. Returns 128 + its number, when nothing of the lab is left.

    The hosts' logs go to `run`. Raises RefusedError.
    """
    try:
        with signals.raised(), ExitStack() as stack:
            built, _ = stack.enter_context(exec.lab(plan))
            hosts = stack.enter_context(built.standing(run))
            worker = port_forward.start(forwards, built.kernel.inside(CLIENT))
            stack.callback(worker.stop, hosts.clock)
            show(standing(plan, forwards, run))
            return 128 + _wait(hosts, worker)
    except signals.Interrupted as end:  # before it stood
        complain("interrupted")
        return 128 + end.sign


def in_guest(setup: LabSetup, ports: tuple[Published, ...], run: Path, terminal: int, begin: Callable[[], None]) -> int:
    """The same in a guest, whose callers come over a terminal; `begin` is called when the lab stands.

    Returns when a signal comes; the guest ends with it.
    """
    with ExitStack() as stack:
        kernel = stack.enter_context(LinuxKernel(Facts(features=frozenset({"netem-seed"}))))
        for knob, setting in setup.stage:
            kernel.write(knob, setting)
        lab = lab_client.BuiltLab(setup, kernel, kernel.fileno(CLIENT))
        hosts = stack.enter_context(lab.standing(run))
        worker = port_forward.start_over(terminal, ports, kernel.inside(CLIENT))
        stack.callback(worker.stop, hosts.clock)
        begin()
        return 128 + _wait(hosts, worker)


def _wait(hosts: Hosts, worker: Worker) -> int:
    """The number of the signal that came; signals stay blocked, so that no second one disturbs the end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    while (received := signal.sigtimedwait(ENDING, _POLL)) is None:
        for sentence in hosts.deaths():
            complain(sentence)
        assert worker.is_alive, "it ends when it is stopped"
    return received.si_signo


def standing(plan: Plan, forwards: tuple[Forward, ...], run: Path) -> Standing:
    """What stands of this plan once all its hosts are ready."""
    rows = []
    own = {host.name: host.spec.shown for host in plan.hosts} or {SERVER: "the reference server"}
    for attachment in plan.topology.attachments:
        what = f"ready: {own[attachment.host]}" if attachment.host in own else ""
        rows.append((attachment.host, tuple(net.host for net in attachment.nets.values()), what))
    logs = run / FOLDER
    return Standing(
        tuple(rows),
        tuple((forward.local, f"{forward.to.host}:{forward.to.port}") for forward in forwards),
        logs if logs.is_dir() else None,
    )
