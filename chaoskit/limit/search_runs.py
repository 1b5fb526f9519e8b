"""Runs a search to its end: the doses of a batch follow from all outcomes before it.

Rules: the summary is written before a batch begins and after each of its runs; the outcomes count in the order in which
the runs were chosen, not in which they ended. A run that failed has no outcome; after `_MOST_ERRORS` of them, or one
that left something changed, the search stops. A signal interrupts what runs, which restores everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.analysis.limits.dose_response import DoseResponse, Trial
from chaoskit.analysis.limits.limit_result import (
    SUMMARY,
    LimitEstimate,
    LimitResult,
    LimitRun,
    LimitSearch,
    as_json,
    verdict_of,
)
from chaoskit.analysis.limits.outcomes import RunOutcome, read_outcome
from chaoskit.analysis.limits.reversal import is_reversed
from chaoskit.clock import Clock
from chaoskit.errors import VERDICTS, NotRestoredError, RefusedError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.folder import display_path
from chaoskit.limit.prepared_search import Budget, PreparedSearch
from chaoskit.report.limit_progress import LimitProgress
from chaoskit.units import counted
from chaoskit.workers.cell import Cell, EndedCell, Workers
from chaoskit.workers.runs_folder import RunsFolder

_MOST_ERRORS = 3
_MOST_WITHOUT = 5
"""Runs without an outcome, one after the other."""
_TICK = 100_000_000  # ns
_NS = 10**9


@dataclass(frozen=True)
class Surroundings:
    """What a search runs with. `outcome` is that of the run in a directory."""

    folder: RunsFolder
    workers: Workers
    clock: Clock
    interrupts: InterruptHandler
    progress: LimitProgress
    outcome: Callable[[Path], RunOutcome] = read_outcome


@dataclass(frozen=True)
class _Knowledge:
    """What these outcomes tell."""

    trials: list[Trial]
    found: DoseResponse
    estimate: LimitEstimate


class LimitSearching:
    """One call of `chaoskit limit`."""

    def __init__(self, prepared: PreparedSearch, budget: Budget, summary: LimitResult, around: Surroundings) -> None:
        self._prepared, self._budget, self._around = prepared, budget, around
        self._summary = summary
        self._searches = [list(each.runs) for each in summary.searches]
        self._ends = ["" for _ in summary.searches]
        self._begun, self._before = around.clock.now(), summary.seconds
        self._error: EndedCell | None = None
        self._known: dict[int, _Knowledge] = {}

    def run(self) -> LimitResult:
        """Search. Returns the summary of its end. Raises RefusedError when it cannot be written; nothing runs then."""
        around = self._around
        around.interrupts.forward_to(around.workers)
        try:
            self._write()
            for number in range(len(self._searches)):
                self._search(number)
        finally:
            around.interrupts.forward_to(None)
            around.workers.close()
        received = around.interrupts.received
        ended: dict[str, Any] = {"status": "finished"}
        if received is not None:
            ended = {"status": "interrupted", "detail": received.name}
        elif self._error is not None:
            ended = {"status": "stopped", "detail": self._error.failure, "error_code": self._error.code}
        self._summary = self._summary.model_copy(update=ended)
        self._write()
        return self._summary

    def _search(self, number: int) -> None:
        """Make runs until the limit of this search is known, or something ends it."""
        runs = self._searches[number]
        while not self._is_stopped():
            if waiting := [place for place, run in enumerate(runs) if run.state != "ended"]:
                self._make(number, waiting)
                continue
            known, search = self._learned(number), self._prepared.search
            if search.is_over(known.found, known.trials):
                return
            count, spent = self._allowed(runs)
            if not count:
                self._ends[number] = spent if known.estimate.where == "open" else ""
                return
            first = len(runs)
            chosen = search.next_doses(known.found, count, is_first=not runs)
            runs += [self._planned(runs, place, first + more) for more, place in enumerate(chosen)]

    def _planned(self, runs: Sequence[LimitRun], place: float, number: int) -> LimitRun:
        """The next run, at this place of the scale."""
        name = f"run-{sum(map(len, self._searches)) + number - len(runs) + 1:03}"
        return LimitRun(name=name, dose=self._prepared.doses.text(place), place=place, seed=self._prepared.seed(number))

    def _make(self, number: int, places: Sequence[int]) -> None:
        """Make these runs, as many at a time as there are slots, and await them all."""
        runs, point, waiting = self._searches[number], self._prepared.points[number], list(places)
        workers, progress = self._around.workers, self._around.progress
        names = {runs[place].name: place for place in places}
        for name in names:
            self._around.folder.set_aside(name)
        self._set(number, places, state="running")
        while workers.running() or (waiting and not self._is_stopped()):
            while waiting and not self._is_stopped() and len(workers.running()) < workers.slots:
                run = runs[waiting.pop(0)]
                self._start(self._prepared.cell(run.name, point, run.dose, run.seed))
            current = self._current()
            progress.tick(current, current.searches[number], workers.running(), self._time_left())
            for end in workers.ended(_TICK):
                self._take_in(number, names[end.cell.name], end)
        self._set(number, [place for place in places if runs[place].state == "running"], state="interrupted")

    def _start(self, cell: Cell) -> None:
        """Start a run. Where it cannot be, the search ends."""
        try:
            self._around.workers.start(cell)
        except RefusedError as error:
            self._error = EndedCell(cell, Path(cell.name), error.exit_code, str(error), "", 0.0)

    def _take_in(self, number: int, place: int, end: EndedCell) -> None:
        """Record how a run has ended."""
        progress = self._around.progress
        changed: dict[str, Any] = {"state": "ended", "code": end.code, "seconds": end.seconds}
        if self._around.interrupts.received is not None and end.code not in VERDICTS:
            changed = {"state": "interrupted"}
        elif end.code not in VERDICTS:
            changed["reason"] = end.failure
            if end.code == NotRestoredError.exit_code or self._errors() + 1 >= _MOST_ERRORS:
                self._error = end
        else:
            found = self._around.outcome(end.directory)
            changed |= {"held": found.held, "broken": found.broken, "reason": found.why}
            changed |= {"round_trip_ms": found.round_trip_ms, "requests": found.requests}
        self._set(number, [place], **changed)
        current = self._current()
        progress.end(current, current.searches[number], self._searches[number][place])

    def _errors(self) -> int:
        every = [run for runs in self._searches for run in runs]
        return sum(run.has_failed for run in every)

    def _is_stopped(self) -> bool:
        return self._around.interrupts.received is not None or self._error is not None

    def _allowed(self, runs: Sequence[LimitRun]) -> tuple[int, str]:
        """How many runs the next batch has; 0, and why the search ends."""
        prepared, budget = self._prepared, self._budget
        batch = min(self._summary.slots, budget.max_runs - len(runs))
        if batch <= 0:
            return 0, f"{counted(budget.max_runs, 'run')}, the most that --max-runs allows"
        without = 0
        while without < len(runs) and not runs[-1 - without].has_outcome:
            without += 1
        if without >= _MOST_WITHOUT:
            return 0, f"{without} runs in a row have no outcome: {runs[-1].reason}"
        every = [run for each in self._searches for run in each]
        if budget.max_requests is not None:
            sent = sum(run.requests for run in every)
            expected = max([prepared.requests, *(run.requests for run in every)])
            batch = min(batch, (budget.max_requests - sent) // max(1, expected))
            if batch <= 0:
                return 0, (
                    f"a run sends about {counted(expected, 'request')}, and "
                    f"{max(0, budget.max_requests - sent)} of --max-requests {budget.max_requests} are left"
                )
        if (left := self._time_left()) is not None:
            longest = max([0 if prepared.is_virtual else prepared.length, *(round(run.seconds * _NS) for run in every)])
            if left <= longest:
                return 0, f"a run takes {whole_seconds(longest)}, and {whole_seconds(left)} of --max-time are left"
        return batch, ""

    def _time_left(self) -> int | None:
        """ns of --max-time."""
        most = self._budget.max_time
        return None if most is None else max(0, most - self._elapsed())

    def _learned(self, number: int) -> _Knowledge:
        """What the runs of this search tell, computed once for the same outcomes."""
        trials = _trials(self._searches[number])
        if number not in self._known or self._known[number].trials != trials:
            found = self._prepared.search.learned(trials)
            self._known[number] = _Knowledge(trials, found, _estimate(self._prepared, found, trials))
        return self._known[number]

    def _set(self, number: int, places: Sequence[int], **changed: Any) -> None:
        runs = self._searches[number]
        for place in places:
            runs[place] = runs[place].model_copy(update=changed)
        if places:
            self._write()

    def _current(self) -> LimitResult:
        searches = tuple(map(self._summarized, range(len(self._searches))))
        seconds = self._before + self._elapsed() / _NS
        return self._summary.model_copy(update={"searches": searches, "seconds": seconds})

    def _summarized(self, number: int) -> LimitSearch:
        point, at_least = self._prepared.points[number], self._prepared.at_least
        known = self._learned(number)
        estimate, verdict = known.estimate if known.trials else None, None
        if at_least is not None:
            verdict = verdict_of(estimate, at_least) if estimate is not None else "undecided"
        return LimitSearch(
            at={key: str(value) for key, value in point.items()},
            runs=tuple(self._searches[number]),
            estimate=estimate,
            ended=self._ends[number],
            verdict=verdict,
        )

    def _write(self) -> None:
        self._summary = self._current()
        remedy = f"go on with --resume --out {display_path(self._around.folder.path)}"
        self._around.folder.write(SUMMARY, as_json(self._summary), remedy)

    def _elapsed(self) -> int:
        return self._around.clock.now() - self._begun


def _trials(runs: Sequence[LimitRun]) -> list[Trial]:
    return [Trial(run.place, run.held) for run in runs if run.state == "ended" and run.held is not None]


def _estimate(prepared: PreparedSearch, found: DoseResponse, trials: Sequence[Trial]) -> LimitEstimate:
    """In doses: the limit is the hardest dose below the middle of its distribution."""
    low, high = found.interval()
    middle, scale = found.quantile(0.5), prepared.doses
    return LimitEstimate(
        where=prepared.search.where(found),
        dose=scale.easier(middle) if 0 <= middle <= 1 else None,
        low=scale.easier(low) if low >= 0 else None,
        high=scale.harder(high) if high <= 1 else None,
        low_place=low,
        high_place=high,
        is_reversed=is_reversed(trials),
    )
