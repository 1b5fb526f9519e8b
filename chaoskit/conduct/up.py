"""Keeps a lab standing until a signal, with ports of its hosts reachable from this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from chaoskit.conduct import exec, port_forward, signals
from chaoskit.conduct.hosts.host_programs import FOLDER, Hosts
from chaoskit.conduct.hosts.process import HostProcess
from chaoskit.conduct.port_forward import Forward
from chaoskit.conduct.worker import Worker
from chaoskit.plan.model import Plan
from chaoskit.terminal import complain
from chaoskit.topology.lab import SERVER

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
            worker = port_forward.start(forwards, built.kernel.inside("client"))
            stack.callback(worker.stop, hosts.clock)
            show(_standing(plan, hosts, forwards, run))
            return 128 + _wait(hosts, worker)
    except signals.Interrupted as end:  # before it stood
        complain("interrupted")
        return 128 + end.sign


def _wait(hosts: Hosts, worker: Worker) -> int:
    """The number of the signal that came; signals stay blocked, so that no second one disturbs the end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    while (received := signal.sigtimedwait(_ENDING, _POLL)) is None:
        for sentence in hosts.deaths():
            complain(sentence)
        assert worker.is_alive, "it ends when it is stopped"
    return received.si_signo


def _standing(plan: Plan, hosts: Hosts, forwards: tuple[Forward, ...], run: Path) -> Standing:
    rows = []
    own = {host.name: host.spec.shown for host in plan.hosts} or {SERVER: "the reference server"}
    for attachment in plan.topology.attachments:
        member = hosts.members.get(attachment.host)
        program = member.program.shown if isinstance(member, HostProcess) else own.get(attachment.host, "")
        what = "" if member is None else f"ready: {program}"
        rows.append((attachment.host, tuple(net.host for net in attachment.nets.values()), what))
    logs = run / FOLDER
    return Standing(
        tuple(rows),
        tuple((forward.local, f"{forward.to.host}:{forward.to.port}") for forward in forwards),
        logs if logs.is_dir() else None,
    )
