"""Searches for a limit whose runs are made up: what each does follows from its dose."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from chaoskit.analysis.limits.limit_result import LOCK, LimitResult
from chaoskit.analysis.limits.outcomes import RunOutcome
from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.limit.limit_command import first_summary
from chaoskit.limit.limit_options import asked_of
from chaoskit.limit.prepared_search import Budget, PreparedSearch, prepare
from chaoskit.limit.search_runs import LimitSearching, Surroundings
from chaoskit.report.limit_progress import LimitProgress
from chaoskit.report.screen import Screen
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.workers.cell import Cell, EndedCell
from chaoskit.workers.runs_folder import RunsFolder

PATH = "faults.wifi.netem.loss"
BREAKS = "stalls_per_minute < 5 during wifi"
EXPERIMENT = """\
name: small
question: How much loss?
stage: {lab: edge}
workload: {request-rate: 4/s, output-tokens: 5}
server: {first-token: {median: 50ms, p99: 50ms}, token-interval: 20ms}
faults:
  wifi: {link: client-router, direction: down, netem: {delay: 5ms, loss: 1%}}
timeline: [{baseline: 5s}, {wifi: 5s}]
objectives: [stalls_per_minute < 5 during wifi]
seed: 7
"""

Behaviour = Callable[[float, Cell], RunOutcome | int]
"""What a run at so many per cent does: its outcome, or the exit code of a failure, of which its result says why."""
REFUSED = "it cannot run"


def breaks_beyond(limit: float) -> Behaviour:
    """A run holds up to this dose."""
    return lambda dose, _: RunOutcome(dose <= limit, () if dose <= limit else (BREAKS,), requests=40)


def holds_outside(low: float, high: float) -> Behaviour:
    """A run breaks between these doses."""
    return lambda dose, _: RunOutcome(not low < dose < high, (BREAKS,) if low < dose < high else (), requests=40)


@dataclass
class MadeWorkers:
    """`Workers` whose runs end at once, the last one first."""

    folder: Path
    behaviour: Behaviour
    slots: int = 2
    started: list[Cell] = field(default_factory=list)
    outcomes: dict[Path, RunOutcome] = field(default_factory=dict)
    under_way: list[Cell] = field(default_factory=list)
    refuses: str = ""

    def start(self, cell: Cell) -> None:
        """As `Workers.start`; `refuses` is the name of a run that cannot be started."""
        if cell.name == self.refuses:
            raise RefusedError(REFUSED)
        self.started.append(cell)
        self.under_way.append(cell)

    def ended(self, timeout: int) -> Sequence[EndedCell]:
        """As `Workers.ended`."""
        return [self._end(self.under_way.pop())] if self.under_way else []

    def _end(self, cell: Cell) -> EndedCell:
        done = self.behaviour(float(str(cell.overrides[PATH]).rstrip("%")), cell)
        directory = self.folder / cell.name
        if isinstance(done, int):
            outcome = {"status": "refused", "detail": REFUSED, "verdict": "undecided", "reason": "it was stopped"}
            directory.mkdir()
            (directory / "result.json").write_text(json.dumps({"outcome": outcome}))
            return EndedCell(cell, directory, done, "", "", 1.0)
        self.outcomes[directory] = done
        return EndedCell(cell, directory, {True: 0, False: 1, None: 5}[done.held], "", "", 1.0)

    def running(self) -> Mapping[str, int]:
        """As `Workers.running`."""
        return {cell.name: 0 for cell in self.under_way}

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Workers.interrupt`."""

    def stop(self, why: str) -> None:
        """As `Workers.stop`."""

    def close(self) -> None:
        """As `Workers.close`."""


def prepared(
    folder: Path,
    text: str = EXPERIMENT,
    *,
    at_least: str | None = None,
    vary: Sequence[str] = (),
    hard: str = "20%",
) -> PreparedSearch:
    """The search of this experiment, from no loss on."""
    file = folder / "small.yaml"
    file.write_text(text)
    asked = asked_of(file, [PATH, *vary], ("0%", hard), "5%", [], None, at_least)
    return prepare(asked, SubstrateOptions(clock="real"))


@dataclass
class Searched:
    """What a search found, and what it did."""

    found: LimitResult
    workers: MadeWorkers
    said: str


def search(
    folder: Path,
    behaviour: Behaviour,
    budget: Budget | None = None,
    request: PreparedSearch | None = None,
    former: LimitResult | None = None,
    refuses: str = "",
) -> Searched:
    """Search to the end, in `folder / "out"`."""
    request, screen = request or prepared(folder), StringIO()
    place, interrupts = folder / "out", InterruptHandler()
    held = RunsFolder.open(place, LOCK) if former is not None else RunsFolder.make(place, LOCK)
    budget = budget or Budget(40)
    with held, LimitProgress(budget.max_runs, Screen(screen)) as progress:
        workers = MadeWorkers(held.path, behaviour, refuses=refuses)
        around = Surroundings(held, workers, RealClock(), interrupts, progress, workers.outcomes.__getitem__)
        found = LimitSearching(request, budget, former or first_summary(request, 2), around).run()
    return Searched(found, workers, screen.getvalue())
