"""Starts the programs of all hosts side by side, waits until they are ready, and ends them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from chaoskit.clock import TICK, Clock
from chaoskit.conduct.hosts.ending import likely_cause, runs_in_guest
from chaoskit.conduct.hosts.process import HostProcess
from chaoskit.conduct.hosts.program import HostProgram, check
from chaoskit.conduct.hosts.readiness import Watch, listens_for_itself
from chaoskit.conduct.hosts.reference import ReferenceProcess
from chaoskit.errors import CrashError, RefusedError
from chaoskit.records.host_records import HostState
from chaoskit.records.jsonl import Log

FOLDER = "hosts"
"""Of the run directory; it holds NAME.log for each host with a program."""

_PACE = 10_000_000  # ns between two looks
_SETTLING = 100_000_000  # ns after which a program that went into the background has ended
_STARTING = 60 * 10**9  # ns for the kernel to start a program, on a busy machine
Member = HostProcess | ReferenceProcess
State = Literal["ready", "paused", "killed", "refusing", "running", "ended"]


class Hosts:
    """The running programs of a lab's hosts; a context manager, at whose end nothing of them is left.

    `members` are the hosts by name. Their records and logs go to the run directory.
    """

    def __init__(
        self,
        programs: Sequence[tuple[HostProgram, int]],
        run: Path,
        clock: Clock,
        references: Sequence[ReferenceProcess] = (),
        asked: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Each program with the descriptor of its host's network namespace. Nothing is started yet.

        `asked`: the hosts and ports that the client connects to.
        """
        self.run = run
        self.clock = clock
        self._folder = run / FOLDER
        self._programs = [
            HostProcess(program, network, self._folder / f"{program.name}.log") for program, network in programs
        ]
        self._references, self._asked = references, asked
        self.members: dict[str, Member] = {each.name: each for each in self._programs}
        self.members |= {each.name: each for each in references}
        self.is_stopped = False
        self._has_started = False
        self._log = Log(run, HostState)
        self._awaited: dict[str, Watch] = {}
        self._mourned: set[str] = set()
        self._planned: list[tuple[int, Callable[[], None]]] = []

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all, and wait until all are ready. Raises RefusedError with the last words of one that is not."""
        for process in self._programs:
            check(process.program)
        if self._programs:
            self._folder.mkdir(exist_ok=True)
        for member in self.members.values():
            member.start()
            self._watch(member)
        begin = self.clock.now()
        while self._awaited:
            self._look(begin)
            self.clock.sleep_until(self.clock.now() + (_PACE if self._awaited else _SETTLING))
        self.check()
        for name, port in self._asked:
            if obstacle := listens_for_itself(self.members[name].network, str(port)):
                raise RefusedError(f"the host {name} {obstacle}")
        self._has_started = True

    def check(self) -> None:
        """Raises RefusedError with the last words of a program that has ended, but not by a fault; CrashError."""
        if told := self.deaths():
            raise (CrashError if any(each.has_crashed for each in self._references) else RefusedError)(told[0])
        for name in [name for name, watch in self._awaited.items() if watch.is_ready(self.clock.now())]:
            self._ready(name)

    def plan(self, at: int, action: Callable[[], None]) -> None:
        """Do this at the first call of `deaths` from then on."""
        self._planned.append((at, action))

    def deaths(self) -> list[str]:
        """How hosts have ended since the last call, but not by a fault; programs with their last words."""
        for each in [each for each in self._planned if each[0] <= self.clock.now()]:
            self._planned.remove(each)
            each[1]()
        told = []
        for member in self.members.values():
            member.hear()
            if member.is_alive or member.was_killed or member.name in self._mourned:
                continue
            self._mourned.add(member.name)
            match member:
                case HostProcess():
                    self.record(member.name, "ended", member.end.code if member.end else None)
                    told.append(_obituary(member, ""))
                case ReferenceProcess():
                    self.record(member.name, "ended")
                    told.append(f"the host {member.name}: {member.failure}")
        return told

    def start_again(self, member: Member) -> None:
        """Start a host that was killed. `check` records when it is ready."""
        member.start()
        self._watch(member)

    def record(self, host: str, state: State, code: int | None = None) -> None:
        """Write down what a host does since now; at the start by whole ticks, because how long that takes varies."""
        at = self.clock.now() if self._has_started else self.clock.now() // TICK * TICK
        self._log.add(HostState(host, at, state, code))
        self._log.flush()

    def stop(self) -> None:
        """SIGTERM to all, and SIGKILL to what has not ended after its `stop_after`. Never raises."""
        self.is_stopped = True
        begin = self.clock.now()
        for process in self._programs:
            process.ask_to_stop()
        for process in sorted(self._programs, key=lambda each: each.program.stop_after):
            process.finish(begin + process.program.stop_after, self.clock)
        for reference in self._references:
            reference.stop(self.clock)
        for watch in self._awaited.values():
            watch.close()
        self._log.close()

    def _watch(self, member: Member) -> None:
        if member.name in self._awaited:  # killed before it was ready
            self._awaited.pop(member.name).close()
        match member:
            case HostProcess(program=program):
                self._awaited[member.name] = Watch(program.ready, member.network, member.log, self.clock.now())
            case ReferenceProcess():  # it listened before it was started
                self.record(member.name, "ready")

    def _look(self, begin: int) -> None:
        """One look at all that are awaited at the start."""
        for process in [each for each in self._programs if each.name in self._awaited]:
            process.hear()
            now, watch = self.clock.now(), self._awaited[process.name]
            if not process.is_alive:
                raise RefusedError(_obituary(process, " before it was ready"))
            if process.started is None:
                if now > begin + _STARTING:
                    raise RefusedError(f"the host {process.name} could not be started within a minute; try again")
            elif watch.is_ready(now):
                self._ready(process.name)
            elif obstacle := watch.obstacle(now):
                raise RefusedError(f"the host {process.name} {obstacle}{process.last_words()}")

    def _ready(self, name: str) -> None:
        self._awaited.pop(name).close()
        self.record(name, "ready")


def _obituary(process: HostProcess, when: str) -> str:
    """How a host ended, with its last words."""
    program, end = process.program, process.end
    if end is None:
        return process.failure
    if end.left and end.code == 0:
        advice = "; for nginx: -g 'daemon off;'" if "nginx" in program.shown else ""
        return f"{program.name} put itself into the background; keep it in the foreground{advice}{process.last_words()}"
    cause = likely_cause(end.code, runs_in_guest())
    return f"the host {program.name} {end}{when}{cause}{process.last_words()}"
