"""Starts the programs of all hosts side by side, waits until they are ready, and ends them together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.conduct.hosts.process import HostProcess
from chaoskit.conduct.hosts.program import HostProgram, check
from chaoskit.conduct.hosts.readiness import Watch
from chaoskit.errors import RefusedError

FOLDER = "hosts"
"""Of the run directory; it holds NAME.log for each host."""

_PACE = 10_000_000  # ns between two looks
_SETTLING = 100_000_000  # ns after which a program that went into the background has ended
_STARTING = 60 * 10**9  # ns for the kernel to start a program, on a busy machine


class Hosts:
    """The running programs of a lab's hosts; a context manager, at whose end nothing of them is left."""

    def __init__(self, programs: Sequence[tuple[HostProgram, int]], run: Path, clock: Clock) -> None:
        """Each program with the descriptor of its host's network namespace. Nothing is started yet."""
        self._clock = clock
        self._run = run
        self.processes = {
            program.name: HostProcess(program, network, run / FOLDER / f"{program.name}.log")
            for program, network in programs
        }

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all, and wait until all are ready. Raises RefusedError with the last words of one that is not."""
        for process in self.processes.values():
            check(process.program)
        (self._run / FOLDER).mkdir(exist_ok=True)
        for process in self.processes.values():
            process.start()
        self._await(list(self.processes.values()))
        self.check()

    def check(self) -> None:
        """Raises RefusedError with the last words of a program that has ended."""
        for process in self.processes.values():
            process.hear()
            if not process.is_alive:
                raise RefusedError(_obituary(process, ""))

    def stop(self) -> None:
        """SIGTERM to all, and SIGKILL to what has not ended after its `stop_after`. Never raises."""
        running = list(self.processes.values())
        begin = self._clock.now()
        for process in running:
            process.ask_to_stop()
        for process in sorted(running, key=lambda each: each.program.stop_after):
            process.finish(begin + process.program.stop_after, self._clock)

    def _await(self, waiting: list[HostProcess]) -> None:
        begin = self._clock.now()
        watches = {each.program.name: Watch(each.program.ready, each.network, each.log, begin) for each in waiting}
        try:
            while waiting:
                waiting = [each for each in waiting if not self._is_ready(each, watches[each.program.name], begin)]
                self._clock.sleep_until(self._clock.now() + (_PACE if waiting else _SETTLING))
        finally:
            for watch in watches.values():
                watch.close()

    def _is_ready(self, process: HostProcess, watch: Watch, begin: int) -> bool:
        process.hear()
        now = self._clock.now()
        if not process.is_alive:
            raise RefusedError(_obituary(process, " before it was ready"))
        if process.started is None:
            if now > begin + _STARTING:
                raise RefusedError(f"the host {process.program.name} could not be started within a minute; try again")
            return False
        if watch.is_ready(now):
            return True
        if obstacle := watch.obstacle(now):
            raise RefusedError(f"the host {process.program.name} {obstacle}{process.last_words()}")
        return False


def _obituary(process: HostProcess, when: str) -> str:
    """How a host ended, with its last words."""
    program, end = process.program, process.end
    if end is None:
        return process.failure
    if end.left and end.code == 0:
        advice = "; for nginx: -g 'daemon off;'" if "nginx" in program.shown else ""
        return f"{program.name} put itself into the background; keep it in the foreground{advice}{process.last_words()}"
    return f"the host {program.name} {end}{when}{process.last_words()}"
