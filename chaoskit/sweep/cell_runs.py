"""Runs the cells of a sweep to their end, an interruption, or a disk that is full.

Rules: the journal says that a cell runs before it begins, and how it ended; a cell that failed stops no other, and is
run anew when the sweep goes on; a point is measured when its last cell has ended. Cells begin in their order, but
nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chaoskit.analysis.sweep_points import measure_point
from chaoskit.analysis.sweep_result import SweepCell, SweepPoint, SweepResult, ended
from chaoskit.clock import Clock, wall
from chaoskit.errors import VERDICTS, RefusedError, SpecError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.report.runs_progress import Pace, RunsProgress
from chaoskit.report.sweep_console import cell_line
from chaoskit.sweep import disk_space
from chaoskit.sweep.cells import PlannedCell, SweepPlan
from chaoskit.sweep.sweep_folder import SweepFolder
from chaoskit.workers.cell import EndedCell, Workers

_TICK = 200_000_000  # ns
_NS = 10**9
_KILLED = (130, 137, 143)  # by SIGINT, SIGKILL, SIGTERM


@dataclass(frozen=True)
class Surroundings:
    """What a sweep runs with. `free_disk` tells how many bytes can still be written."""

    folder: SweepFolder
    workers: Workers
    clock: Clock
    interrupts: InterruptHandler
    progress: RunsProgress
    free_disk: Callable[[], int]


def first_journal(plan: SweepPlan, keep: Any, former: SweepResult | None) -> SweepResult:
    """The journal before the first cell. What has a result in a `former` part stays; it may have fewer cells.

    Raises SpecError where it has others.
    """
    before = {cell.name: cell for cell in former.cells if cell.has_result} if former is not None else {}
    names = {each.cell.name for each in plan.cells}
    if former is not None and (others := [cell.name for cell in former.cells if cell.name not in names]):
        raise SpecError(
            f"--resume: {former.folder} has {others[0]}, which is none of these cells; give at least its values and "
            "repeats, or another --out"
        )
    cells = (
        before[each.cell.name].model_copy(update={"point": each.point})
        if each.cell.name in before
        else SweepCell(name=each.cell.name, point=each.point, seed=each.seed)
        for each in plan.cells
    )
    return SweepResult(
        name=plan.name,
        question=plan.question,
        file=str(plan.file),
        fingerprint=plan.fingerprint,
        has_objectives=plan.has_objectives,
        keep=keep,
        warnings=plan.found.all_warnings,
        started=former.started if former is not None else wall(),
        seconds=former.seconds if former is not None else 0.0,
        axes=plan.axes,
        paths=plan.paths,
        points=tuple(SweepPoint(name=point.name, values=point.values) for point in plan.points),
        cells=tuple(cells),
    )


class Sweep:
    """One call of `chaoskit sweep`."""

    def __init__(self, plan: SweepPlan, journal: SweepResult, around: Surroundings) -> None:
        self._plan, self._around, self._workers = plan, around, around.workers
        self._journal = journal
        self._places = {cell.name: place for place, cell in enumerate(journal.cells)}
        self._cells = list(journal.cells)
        self._waiting = [each for each in plan.cells if self._cell(each.cell.name).state == "waiting"]
        self._open = {each.point for each in self._waiting}  # points that are not measured yet
        self._largest, self._begun, self._why = 0, around.clock.now(), ""

    def run(self) -> SweepResult:
        """Run it. Returns the journal of its end.

        Raises RefusedError when that cannot be written, SpecError where a point could not be measured with more cells.
        """
        around = self._around
        around.interrupts.forward_to(self._workers)
        try:
            self._require_records()
            for place in self._open:
                around.folder.forget_point(self._journal.points[place].name)
            self._write()
            while self._workers.running() or (self._waiting and not self._stopped()):
                self._begin()
                self._tick()
                for end in self._workers.ended(_TICK):
                    self._take_in(end)
            self._journal = self._at_end()
            around.folder.write_journal(self._journal)
        finally:
            around.interrupts.forward_to(None)
            self._workers.close()
        return self._journal

    def _require_records(self) -> None:
        """Raises SpecError where those of a point that gets more cells are gone."""
        for place in sorted(self._open):
            for cell in self._journal.cells_of(place):
                if cell.has_result and not self._around.folder.has_records(cell.name):
                    raise SpecError(
                        f"--resume: the records of {cell.name} are gone, as --keep results asked, and more runs of "
                        f"{self._journal.points[place].name or 'this file'} could not be pooled with it; give another "
                        "--out"
                    )

    def _stopped(self) -> bool:
        """Whether no further cell begins."""
        return bool(self._why) or self._around.interrupts.received is not None

    def _begin(self) -> None:
        """Begin as many cells as may."""
        while self._waiting and not self._stopped() and len(self._workers.running()) < self._workers.slots:
            if not self._waiting[0].cell.is_unchanged:
                self._why = f"{self._plan.file} is another now, and cells of both would stand in one table"
                return
            planned = self._waiting[0]
            self._around.folder.set_aside(planned.cell.name)
            self._set(planned.cell.name, state="running")
            try:
                self._workers.start(planned.cell)
            except RefusedError as error:
                self._set(planned.cell.name, state="waiting")
                self._why = f"{error}; then {self._around.folder.remedy}"
                return
            del self._waiting[0]
            self._around.progress.begin(planned.cell.name, planned.length)

    def _take_in(self, end: EndedCell) -> None:
        """Record how a cell has ended, and measure its point when it was the last."""
        name = end.cell.name
        if end.code in _KILLED and (end.why or self._around.interrupts.received is not None):
            self._set(name, state="interrupted", reason=end.why, seconds=end.seconds)
            return
        reason = "" if end.code in VERDICTS else end.failure
        self._set(name, state="ended", code=end.code, reason=reason, seconds=end.seconds)
        self._around.progress.end(cell_line(self._cell(name), self._plan.has_objectives))
        self._largest = max(self._largest, disk_space.size_of(end.directory))
        self._measure(self._cell(name).point)
        if self._waiting and not self._why:
            self._why = self._shortage()

    def _shortage(self) -> str:
        """Why the rest does not fit on the disk; "" where it does. What is dropped soon needs little room."""
        around, keeps_runs = self._around, self._journal.keep == "runs"
        repeats = max(len(self._journal.cells_of(place)) for place in range(len(self._journal.points)))
        left = len(self._waiting) if keeps_runs else min(len(self._waiting), repeats + self._workers.slots)
        return disk_space.shortage(self._largest, left, around.free_disk(), around.folder.path, keeps_runs)

    def _measure(self, place: int) -> None:
        journal, folder = self._current(), self._around.folder
        cells = journal.cells_of(place)
        if all(cell.state == "ended" for cell in cells):
            folder.write_point(measure_point(journal, place, folder.path))
            if journal.keep == "results" and all(cell.has_result for cell in cells):
                for cell in cells:
                    folder.drop_records(cell.name)

    def _at_end(self) -> SweepResult:
        received = self._around.interrupts.received
        if received is not None and self._waiting_or_interrupted():
            return ended(self._current(), "interrupted", received.name)
        return ended(self._current(), "stopped" if self._why else "finished", self._why)

    def _waiting_or_interrupted(self) -> bool:
        return any(cell.state != "ended" for cell in self._cells)

    def _cell(self, name: str) -> SweepCell:
        return self._cells[self._places[name]]

    def _set(self, name: str, **changed: Any) -> None:
        self._cells[self._places[name]] = self._cell(name).model_copy(update=changed)
        self._write()

    def _current(self) -> SweepResult:
        now = self._around.clock.now()
        seconds = self._journal.seconds + (now - self._begun) / _NS
        return self._journal.model_copy(update={"seconds": seconds, "cells": tuple(self._cells)})

    def _write(self) -> None:
        self._around.folder.write_journal(self._current())

    def _tick(self) -> None:
        running = self._workers.running()
        self._around.progress.tick([(each.cell.name, self._pace(each, running)) for each in self._plan.cells])

    def _pace(self, planned: PlannedCell, running: Any) -> Pace:
        cell = self._cell(planned.cell.name)
        elapsed = running.get(cell.name, round(cell.seconds * _NS))
        return Pace(planned.length, elapsed, not planned.cell.is_alone, cell.state)
