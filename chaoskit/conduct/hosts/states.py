"""Reads and writes what the processes of a host do: the knobs of kind `process`.

All other knobs go to the kernel itself. Rules: what is read is what the kernel says: the states of processes in /proc,
and the table that refuses connections; a host that was stopped for good has nothing left to restore.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.conduct.hosts.host_programs import Hosts, Member
from chaoskit.counters import HopCounters, QueueCounters
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.errors import translate_errors
from chaoskit.kernel.netfilter import connection_refusal
from chaoskit.kernel.netfilter.nftables import OwnedTables
from chaoskit.knobs import Kernel, Knob, Process, Pulse, Setting

_PACE = 1_000_000  # ns
_PATIENCE = 10 * 10**9  # ns for a signal to reach every process, on a busy machine


class HostsKernel:
    """Implements `knobs.Kernel` for a lab whose hosts run programs. `hosts` is set once they are started."""

    def __init__(self, kernel: Kernel, clock: Clock) -> None:
        self.hosts: Hosts | None = None
        self._kernel, self._clock = kernel, clock
        self._tables: dict[str, OwnedTables] = {}

    def read(self, knob: Knob) -> Setting:
        """The current setting; None when there is no such host."""
        if knob.kind != "process":
            return self._kernel.read(knob)
        member = self._member(knob)
        if member is None:
            return None if self.hosts is None or knob.place not in self.hosts.members else Process()
        with translate_errors(knob, "read"):
            return _state(member)

    def write(self, knob: Knob, setting: Setting) -> None:
        """Apply the setting, and wait until the kernel has it. Raises RefusedError."""
        if not isinstance(setting, Process) or knob.kind != "process":
            self._kernel.write(knob, setting)
            return
        member = self._member(knob)
        if member is None:
            raise RefusedError(f"{knob} cannot be set: no program runs on the host")
        with translate_errors(knob, "set"):
            self._leave(member, _state(member))
            self._enter(member, setting)
        deadline = self._clock.now() + _PATIENCE
        while _state(member) != setting and self._clock.now() < deadline:
            member.hear()
            self._clock.sleep_until(self._clock.now() + _PACE)
        assert self.hosts is not None
        self.hosts.record(member.name, setting.state)

    def facts(self) -> Facts:
        """As the kernel."""
        return self._kernel.facts()

    def pulse(self, pulse: Pulse) -> None:
        """As the kernel."""
        self._kernel.pulse(pulse)

    def holds(self, setting: Setting) -> Setting:
        """As the kernel."""
        return self._kernel.holds(setting)

    def counters(self, knob: Knob) -> QueueCounters | None:
        """As the kernel; a process has none."""
        return None if knob.kind == "process" else self._kernel.counters(knob)

    def filter_counters(self, knobs: tuple[Knob, ...]) -> dict[Knob, QueueCounters]:
        """As the kernel."""
        return self._kernel.filter_counters(knobs)

    def hop_counters(self, place: str) -> HopCounters | None:
        """As the kernel."""
        return self._kernel.hop_counters(place)

    def owner_sockets(self) -> tuple[int, ...]:
        """As the kernel."""
        return self._kernel.owner_sockets()

    def _member(self, knob: Knob) -> Member | None:
        return None if self.hosts is None or self.hosts.is_stopped else self.hosts.members.get(knob.place)

    def _leave(self, member: Member, state: Process) -> None:
        """Back to running."""
        match state.state:
            case "paused":
                member.resume(self._clock)
            case "killed":
                assert self.hosts is not None
                self.hosts.start_again(member)
            case "refusing":
                connection_refusal.write(member.network, self._owned(member), wanted=False)

    def _enter(self, member: Member, state: Process) -> None:
        match state.state:
            case "paused":
                member.pause(self._clock)
            case "killed":
                member.kill(self._clock)
            case "refusing":
                connection_refusal.write(member.network, self._owned(member), wanted=True)

    def _owned(self, member: Member) -> OwnedTables:
        return self._tables.setdefault(member.name, {})


def _state(member: Member) -> Process:
    """What the kernel says."""
    states = {state for pid in member.pids() if (state := process_state(pid)) != "Z"}
    if not states:
        return Process("killed")
    if states == {"T"}:
        return Process("paused")
    return Process("refusing" if connection_refusal.is_in_force(member.network) else "running")


def process_state(pid: int) -> str:
    """The letter of its state, proc_pid_stat(5); `Z` when it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    return "Z"
