"""Injects a failure into a run at a random moment, and checks what is left.

The moment may be anywhere in the run. It is a line of its journal and a time after that, both random:

| part                      | place                         | time after it                        |
|---------------------------|-------------------------------|--------------------------------------|
| before the first change   | none                          | up to when the first change came     |
| while setting             | after any line but the last   | a few milliseconds                   |
| in force                  | after the last line           | up to the lease's length             |
| while putting back        | after any line of putting back | a few milliseconds                   |

The table counts what the journal said just before the failure. A cold run is hit at any time, and so is `exec`, which
has no journal: it is setting while its veth exists, and in force while its command runs.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chaoskit.engine.lease import Leases
from soak import interfaces
from soak.disturbances import disturbance
from soak.run_process import PATIENCE, Progress, RunProcess, command, kill, leases, wait_until, warm_up
from soak.runs import Runs
from soak.state import look

Part = Literal["before", "setting", "in force", "putting back", "after"]
PARTS: tuple[Part, ...] = ("before", "setting", "in force", "putting back", "after")
LEASE = "LEASE"  # in a run's words: what the machine needs to have a life of all parts
RUN = "RUN:"  # before the name of a link: the directory of a run there, planned and not yet begun
LONG = "60s"
HOUR = 3600
SETTLE = 20.0  # s after the end of all processes that the kernel itself may need
_FEW = 0.006  # s
_RESTORE = 0.5  # s that a warm restore takes, about


@dataclass(frozen=True)
class Trial:
    """One failure of one run. `what` names a function below, `disturbance` what else happens; `row` is the table's.

    `restores`: so many times the restore that follows is killed, too.
    """

    row: str
    what: str
    words: tuple[str, ...]
    link: str
    seed: int
    victim: str = "conductor"
    sign: int = 0
    cold: bool = False  # started from a shell
    part: Part | None = None  # of the life; None leaves it to chance
    disturbance: str = ""
    restores: int = 0

    @property
    def is_death(self) -> bool:
        """Whether the watchdog has to act at once."""
        return self.victim == "conductor" and self.sign == signal.SIGKILL


@dataclass
class Outcome:
    """What came of a trial. `left` names everything that should not be there; `late` is s until all was back."""

    row: str
    link: str
    seed: int
    part: Part = "before"
    late: float = 0.0
    restored: bool = False
    identical: bool = False
    left: list[str] = field(default_factory=list)
    said: str = ""
    code: int | None = None


@dataclass(frozen=True)
class Usual:
    """How an undisturbed run goes: s to the first change, how much it sets and puts back, and s to the end."""

    lead: float
    done: int
    restored: int
    whole: float


class SoakEnvironment:
    """The interfaces, their state before any trial, and the state folders of the runs."""

    def __init__(self, folder: Path) -> None:
        interfaces.prepare()
        interfaces.build()
        self.state, self.small = folder / "state", folder / "small"
        self.state.mkdir()
        self.small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(self.small)], check=True)
        self.sender, self._runs = interfaces.send_datagrams(), Runs(folder / "runs")
        self.at_rest = look()
        self._lease, self._warm = LONG, set[str]()
        self._usual: dict[tuple[tuple[str, ...], bool], Usual] = {}

    def close(self) -> None:
        """Leave the folder, and the guest, as they were."""
        self._runs.close()
        kill(self.sender, signal.SIGKILL)
        os.waitpid(self.sender, 0)
        interfaces.leave()
        subprocess.run(["umount", str(self.small)], check=True)

    def begin(self, words: tuple[str, ...], state: Path, cold: bool = False) -> RunProcess:
        """A process with these arguments, in which RUN stands for a directory of its own."""
        places = (word.partition(RUN)[2] for word in words)
        told = (str(self._runs.directory(link)) if link else word for word, link in zip(words, places, strict=True))
        return RunProcess(tuple(told), state, cold)

    def typed(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The words with a lease that is several times as long as setting takes here, and two seconds at least."""
        long = tuple(LONG if word == LEASE else word for word in words)
        if words[0] not in self._warm:
            warm_up(lambda: self.begin(long, self.state))
            self._warm.add(words[0])
        if LEASE in words and self._lease == LONG:
            self._lease = f"{max(2, round(3 * self._setting(long)))}s"
        return tuple(self._lease if word == LEASE else word for word in words)

    def _setting(self, words: tuple[str, ...]) -> float:
        """How many seconds of its lease a run needs to set everything."""
        process = self.begin(words, self.state)
        wait_until(lambda: process.until() is not None or process.has_ended(), PATIENCE)
        begun = time.monotonic()
        wait_until(lambda: "in force" in process.words() or process.has_ended(), PATIENCE)
        took = time.monotonic() - begun
        kill(process.conductor, signal.SIGTERM)
        process.wait_for_end()
        process.end()
        return took

    def usual(self, words: tuple[str, ...], cold: bool) -> Usual:
        """From one run to its end; raises AssertionError when even that leaves something."""
        key = (words, cold)
        if key not in self._usual:
            self._usual[key] = self._measure(words, cold)
        return self._usual[key]

    def _measure(self, words: tuple[str, ...], cold: bool) -> Usual:
        process = self.begin(words, self.state, cold)
        lead, seen = 0.0, Progress()
        while not process.has_ended():
            now = process.progress() or seen
            if now.lines and not seen.lines:
                lead = time.monotonic() - process.began
            seen = now if now.lines >= seen.lines else seen
            time.sleep(0.001)
        whole = time.monotonic() - process.began
        seen = process.progress() or seen
        process.end()
        wrong = look() - self.at_rest
        assert process.code == 0, f"{words} ended with {process.code}: {process.words()}"
        assert not wrong, f"an undisturbed {words} leaves {wrong}"
        assert seen.done or words[0] == "exec", f"{words} keeps no journal where it is looked for"
        return Usual(lead, seen.done, seen.restored, whole)


def run_trial(testbed: SoakEnvironment, trial: Trial) -> Outcome:
    """Inject the failure, wait, restore by command where needed, compare, and clean up for the next trial."""
    chance = random.Random(trial.seed)
    state = testbed.small if trial.what == "fill" else testbed.state
    outcome = Outcome(trial.row, trial.link, trial.seed)
    words = testbed.typed(trial.words)
    usual = testbed.usual(words, trial.cold)
    with disturbance(trial.disturbance, state, chance, outcome.left):
        process = testbed.begin(words, state, trial.cold)
        try:
            outcome.part = await_moment(process, usual, trial, chance)
            until = process.until()
            injected = inject(process, trial, chance)
            ended = await_end(process, trial, outcome, state)
            outcome.late = outcome.late or lateness(trial, injected, until, ended)
            outcome.code = process.code
            judge(testbed, process, outcome, state)
        finally:
            process.end()
    outcome.restored = not outcome.left
    if outcome.left:
        outcome.said = process.words()
        clear(testbed, state)
    return outcome


def await_moment(process: RunProcess, usual: Usual, trial: Trial, chance: random.Random) -> Part:
    """Wait for the random moment; returns the part of the run that it is in."""
    if trial.cold or _is_exec(process):
        _wait_for(process, lambda: False, chance.uniform(0, usual.whole))
    else:
        _await_place(process, usual, trial.part if trial.part is not None else chance.choice(PARTS[:4]), chance)
    if trial.victim == "watchdog" or trial.sign == signal.SIGSTOP:  # there has to be one: before, nothing has a lease
        wait_until(lambda: bool(process.watchdogs()) or process.has_ended(), PATIENCE)
    return part_of(process, usual)


def part_of(process: RunProcess, usual: Usual) -> Part:
    """Where a run is, by its journal."""
    now = process.progress()
    if process.has_ended():
        return "after"
    if _is_exec(process):
        if any("sleep" in _describe(pid) for pid in process.others()):
            return "in force"
        return "setting" if Path("/sys/class/net/chaos-out").exists() else "before"
    if now is None or not now.lines:
        return "before"
    if now.restored:
        return "putting back"
    return "in force" if now.done == usual.done else "setting"


def _is_exec(process: RunProcess) -> bool:
    return process.arguments[0] == "exec"


def _await_place(process: RunProcess, usual: Usual, part: Part, chance: random.Random) -> None:
    if part == "before":
        _wait_for(process, lambda: False, chance.uniform(0, usual.lead))
        return
    if part == "setting":
        lines = chance.randint(1, 2 * usual.done - 1)
        _wait_for(process, lambda: (process.progress() or Progress()).lines >= lines, PATIENCE)
        time.sleep(chance.uniform(0, _FEW))
        return
    _wait_for(process, lambda: (process.progress() or Progress()).done >= usual.done, PATIENCE)
    if part == "in force":
        time.sleep(chance.uniform(0, 1.0))
        return
    if chance.random() < 0.5:  # else the lease ends it
        time.sleep(chance.uniform(0, 0.2))
        kill(process.conductor, signal.SIGTERM)
    lines = chance.randint(1, usual.restored - 1)
    _wait_for(process, lambda: (process.progress() or Progress()).restored >= lines, PATIENCE)
    time.sleep(chance.uniform(0, _FEW / 2))


def _wait_for(process: RunProcess, condition: Callable[[], bool], patience: float) -> None:
    wait_until(lambda: condition() or process.has_ended(), patience)


def inject(process: RunProcess, trial: Trial, chance: random.Random) -> float:
    """Inject the failure; returns its time."""
    moment = time.monotonic()
    match trial.what:
        case "kill":
            _kill(process, trial, chance)
        case "fill":
            _fill(process)
        case "clock":
            time.clock_settime(time.CLOCK_REALTIME, time.time() + trial.sign * HOUR)
        case "vanish":
            interfaces.remove_link(trial.link)
        case _:
            raise ValueError(trial.what)
    return moment


def _kill(process: RunProcess, trial: Trial, chance: random.Random) -> None:
    sign = signal.Signals(trial.sign)
    match trial.victim:
        case "conductor":
            if not process.has_ended():
                kill(process.conductor, sign)
        case "watchdog":
            for watchdog in process.watchdogs():
                kill(watchdog, sign)
        case "both":
            victims = [process.conductor, *process.others()]
            chance.shuffle(victims)
            for victim in victims:
                if victim != process.conductor or not process.has_ended():
                    kill(victim, sign)
            for late in process.others():  # born while we struck
                kill(late, sign)


def _fill(process: RunProcess) -> None:
    """Not a byte more fits into the state folder."""
    filler = os.open(process.state / "filler", os.O_WRONLY | os.O_CREAT)
    size = 4096
    while size:
        try:
            os.write(filler, b"x" * size)
        except OSError:
            size //= 2
    os.close(filler)


def lateness(trial: Trial, injected: float, until: float | None, ended: float) -> float:
    """From the blow, which ends a run; or from the lease's end, when the blow lets a run go on to it."""
    if trial.is_death or until is None or ended < until:
        return ended - injected
    return ended - max(injected, until)


def await_end(process: RunProcess, trial: Trial, outcome: Outcome, state: Path) -> float:
    """Wait until all processes of the run have ended, which is the time returned, then run restore if needed."""
    ended = process.wait_for_end()
    if ended is None:
        outcome.left.append("processes that do not end: " + ", ".join(_describe(pid) for pid in process.others()))
        process.end()
        ended = time.monotonic()
    if trial.what == "clock":
        time.clock_settime(time.CLOCK_REALTIME, time.time() - trial.sign * HOUR)
    if trial.what == "fill":
        (state / "filler").unlink()
    if trial.victim == "both":
        chance = random.Random(trial.seed)
        for _ in range(trial.restores):
            _killed_restore(state, chance.uniform(0, _RESTORE))
        code, said, outcome.late = command(("restore",), state)
        if code != (4 if trial.disturbance == "rubbish" else 0):  # what a stranger has put there is told
            outcome.left.append(f"chaoskit restore ended with {code}: {said.strip()}")
    if trial.what == "vanish":
        interfaces.make_link(trial.link)
    return ended


def _killed_restore(state: Path, after: float) -> None:
    """A restore that is killed so many seconds after it has begun."""
    process = RunProcess(("restore",), state)
    time.sleep(after)
    if not process.has_ended():
        kill(process.conductor, signal.SIGKILL)
    process.wait_for_end()
    process.end()


def _describe(pid: int) -> str:
    with suppress(OSError):
        return f"{pid} {Path('/proc', str(pid), 'cmdline').read_text().replace(chr(0), ' ')!r}"
    return f"{pid}"


def judge(testbed: SoakEnvironment, process: RunProcess, outcome: Outcome, state: Path) -> None:
    """What is there that was not, and what is missing. The kernel takes away an unnamed namespace when it has time."""
    begun, ended = time.monotonic(), outcome.late
    while (wrong := look() - testbed.at_rest) and time.monotonic() < begun + SETTLE:
        outcome.late = ended + time.monotonic() - begun
    outcome.identical = not wrong
    outcome.left += wrong
    for lease in process.leases():  # one with nothing pending is removed by the next run
        outcome.left += [f"pending in lease {lease.name}: {entry.knob}" for entry in Leases(state).pending(lease.name)]
    outcome.left += [f"process {pid}" for pid in process.others()]


def clear(testbed: SoakEnvironment, state: Path) -> None:
    """Recreate the interfaces for the next trial."""
    for lease in leases(state):
        shutil.rmtree(lease)
    interfaces.clear()
    interfaces.build()
    wrong = look() - testbed.at_rest
    if wrong:
        raise RuntimeError(f"the interfaces cannot be recreated: {wrong}")
