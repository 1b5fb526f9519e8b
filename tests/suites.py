"""Small suites for tests, and runs that end as their names say, without a guest."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from chaoskit.analysis.suite_result import SuiteResult
from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.gameday.folder import GamedayFolder
from chaoskit.gameday.preparation import Place, prepare
from chaoskit.gameday.run import Gameday, Surroundings, first_summary
from chaoskit.report.runs_progress import RunsProgress
from chaoskit.report.screen import Screen
from chaoskit.spec.suite_load import LoadedSuite, load_suite
from chaoskit.workers.launch import ColdStart, Launch
from chaoskit.workers.local import LocalWorkers

EXPERIMENT = """\
name: {name}
question: Is it so?
stage: {{lab: edge}}
workload: {{max-concurrency: 2, output-tokens: 5}}
server: {{first-token: {{median: 50ms, p99: 50ms}}, token-interval: 20ms}}
faults:
  away: {{link: client-router, direction: down, netem: {{delay: {delay}}}}}
timeline: [{{baseline: {length}}}, {{away: {length}}}]
objectives: [ttft_p50 during away < 2x baseline]
"""


def write_experiment(folder: Path, name: str, delay: str = "5ms", length: str = "2s") -> Path:
    """An experiment file, met with a short delay and broken with a long one."""
    path = folder / f"{name}.yaml"
    path.write_text(EXPERIMENT.format(name=name, delay=delay, length=length))
    return path


def write_suite(folder: Path, *experiments: str, more: str = "") -> Path:
    """A suite file of these entries, in YAML's flow style."""
    path = folder / "gameday.yaml"
    path.write_text("name: small\nexperiments:\n" + "".join(f"  - {each}\n" for each in experiments) + more)
    return path


def fake_run(launch: Launch) -> tuple[str, ...]:
    """A program that ends as the experiment's name says (`code-5`), and leaves a result.

    `slow` waits until there is a file `hurry` beside the experiment; interrupted, it ends with 130, as a run does.
    `gone` cannot be started.
    """
    name, out = Path(launch.words[0]).stem, launch.out
    if "gone" in name:
        raise RefusedError(f"{name} cannot be started")
    code = int(name.rpartition("-")[2]) if name[-1].isdigit() else 0
    verdict = {0: "met", 1: "broken", 5: "undecided"}.get(code)
    outcome = {"status": "finished", "detail": "", "verdict": verdict, "reason": f"{name} is {verdict}"}
    program = [
        "import json, pathlib, signal, sys, time",
        f"out = pathlib.Path({str(out)!r})",
        "out.mkdir()",
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(130))",
        "(out / 'begun').touch()",
        f"hurry = pathlib.Path({launch.words[0]!r}).with_name('hurry')",
        *(["while not hurry.exists(): time.sleep(0.05)"] if "slow" in name else []),
        *([f"(out / 'result.json').write_text({json.dumps({'outcome': outcome})!r})"] if verdict else []),
        f"print('chaoskit: {name} cannot run', file=sys.stderr)" if not verdict else "",
        f"sys.exit({code})",
    ]
    return (sys.executable, "-c", "\n".join(program))


@dataclass
class Played:
    """A suite that is run with fake runs, and what its progress said."""

    file: Path
    out: Path
    jobs: int = 1
    screen: StringIO = field(default_factory=StringIO)
    interrupts: InterruptHandler = field(default_factory=InterruptHandler)

    def play(self, is_resumed: bool = False, only: Sequence[str] = ()) -> SuiteResult:
        """Run it to its end."""
        loaded = load_suite(self.file)
        folder, former = self._folder(loaded, is_resumed)
        prepared = prepare(loaded.only(list(only)), Place(allowed=False))
        summary = first_summary(loaded, prepared, former)
        progress = RunsProgress(sum(run.state == "waiting" for run in summary.runs), self.jobs, Screen(self.screen))
        with folder, self.interrupts, progress:
            clock = RealClock()
            workers = LocalWorkers(folder.path, self.jobs, folder.lock, clock, ColdStart(fake_run))
            around = Surroundings(folder, workers, None, clock, self.interrupts, progress)
            return Gameday(loaded, prepared, summary, around).run()

    def _folder(self, loaded: LoadedSuite, is_resumed: bool) -> tuple[GamedayFolder, SuiteResult | None]:
        if is_resumed:
            return GamedayFolder.resume(self.out, loaded.fingerprint)
        return GamedayFolder.create(self.out, True, self.file.read_text()), None
