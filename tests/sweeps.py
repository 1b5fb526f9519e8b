"""Sweeps whose runs are fake: each copies a run directory that was made before, by the seed, and says that it ran."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from random_runs import random_run

from chaoskit.analysis.sweep_points import SweepMeasurement, load_measurement
from chaoskit.analysis.sweep_result import Kept, SweepResult
from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.report.runs_progress import RunsProgress
from chaoskit.report.screen import Screen
from chaoskit.spec.overrides import parse_variations
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.sweep.cell_runs import Surroundings, Sweep, first_journal
from chaoskit.sweep.cells import SweepPlan, plan_sweep
from chaoskit.sweep.sweep_folder import SweepFolder
from chaoskit.workers.launch import ColdStart, Launch
from chaoskit.workers.local import LocalWorkers

EXPERIMENT = """\
name: small
question: How much is too much?
stage: {lab: edge}
workload: {max-concurrency: 2, output-tokens: 5}
faults:
  wifi: {link: client-router, direction: down, netem: {delay: 5ms}}
timeline: [{baseline: 2s}, {wifi: 2s}]
objectives: [ttft_p50 during wifi < 2x baseline]
seed: 1
"""
PATH = "faults.wifi.netem.delay"
_HERE = SubstrateOptions("here", clock="real")


def write_experiment(folder: Path) -> Path:
    """The experiment file, and the runs that its cells copy, for the seeds 1, 2 and 3."""
    file = folder / "small.yaml"
    file.write_text(EXPERIMENT)
    for seed in (1, 2, 3):
        random_run(3 * seed).write(folder / "made" / str(seed))  # all with the same phases
    return file


def fake_run(launch: Launch) -> tuple[str, ...]:
    """A program that appends its cell to `ran` beside the experiment, and copies the run of its seed.

    `fail` beside it has the name of a cell that fails, `wait` that of one that waits until that file is gone, `refuse`
    that of one that cannot be started.
    """
    words, out = launch.words, launch.out
    folder = Path(words[0]).parent
    if (folder / "refuse").exists() and (folder / "refuse").read_text() == out.name:
        raise RefusedError("there is no process left")
    seed = next(word.partition("=")[2] for word in words if word.startswith("seed="))
    program = f"""\
import pathlib, shutil, signal, sys, time
folder, out = pathlib.Path({str(folder)!r}), pathlib.Path({str(out)!r})
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
with (folder / "ran").open("a") as file:
    file.write(out.name + "\\n")
if (folder / "fail").exists() and (folder / "fail").read_text() == out.name:
    print("chaoskit: there is no kernel", file=sys.stderr)
    sys.exit(3)
shutil.copytree(folder / "made" / {seed!r}, out)
while (folder / "wait").exists() and (folder / "wait").read_text() == out.name:
    time.sleep(0.02)
(out / "result.json").write_text("{{}}")
sys.exit({int(seed == "2")})
"""
    return (sys.executable, "-c", program)


@dataclass
class Played:
    """A sweep of fake runs into `out`, and what its progress said."""

    file: Path
    out: Path
    varied: Sequence[str] = (f"{PATH}=5ms,10ms",)
    repeats: int = 2
    jobs: int = 2
    keep: Kept = "runs"
    free_disk: Callable[[], int] = lambda: 1 << 50
    screen: StringIO = field(default_factory=StringIO)

    @property
    def plan(self) -> SweepPlan:
        """What it would run. Its fake runs may be side by side."""
        return plan_sweep(self.file, {}, parse_variations(self.varied), self.repeats, _HERE)

    def play(self, is_resumed: bool = False) -> SweepResult:
        """Run it to its end."""
        plan, clock = self.plan, RealClock()
        folder, former = (
            SweepFolder.resume(self.out, plan.fingerprint)
            if is_resumed
            else (SweepFolder.create(self.out, True, plan.text), None)
        )
        with folder, InterruptHandler() as interrupts:
            journal = first_journal(plan, self.keep, former)
            with RunsProgress(len(journal.cells), self.jobs, Screen(self.screen)) as progress:
                workers = LocalWorkers(folder.path, self.jobs, folder.lock, clock, ColdStart(fake_run))
                around = Surroundings(folder, workers, clock, interrupts, progress, self.free_disk)
                return Sweep(plan, journal, around).run()

    def measured(self, found: SweepResult) -> SweepMeasurement:
        """What its points measured."""
        return load_measurement(found, self.out)

    @property
    def ran(self) -> list[str]:
        """The cells that began, in order."""
        return (self.file.parent / "ran").read_text().split()

    def command_line(self) -> list[str]:
        """A program that does the same, and can be killed."""
        program = f"""\
import pathlib, sys
from sweeps import Played
file, out = map(pathlib.Path, sys.argv[1:])
Played(file, out, {tuple(self.varied)!r}, {self.repeats}, {self.jobs}).play()
"""
        return [sys.executable, "-c", program, str(self.file), str(self.out)]
