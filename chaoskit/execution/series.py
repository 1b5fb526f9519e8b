"""Runs all variants of a matrix: side by side in virtual time, in turn otherwise.

Rules: each variant is a cell, a run of its own; what is told of it, and its row of the history, come in the matrix's
order, whichever ended first. After Ctrl-C, a variant that could not restore everything, or a change of the file, no
further one begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoskit.analysis.matrix import VariantResult, combine, variant_result, worst_exit_code
from chaoskit.analysis.result_file import read_result
from chaoskit.clock import RealClock
from chaoskit.conduct.planning import prepare
from chaoskit.errors import NotRestoredError, SpecError
from chaoskit.execution.interrupts import InterruptHandler, say_if_interrupted
from chaoskit.execution.options import RunOptions, names_records
from chaoskit.execution.single import tell_difference
from chaoskit.folder import descriptor
from chaoskit.planning.model import Plan
from chaoskit.records.directory import EXPERIMENT, conclude
from chaoskit.report import matrix
from chaoskit.report.formats.destinations import write_reports
from chaoskit.report.live import RunLine, RunProgress
from chaoskit.report.screen import Screen, progress_screen
from chaoskit.report.warnings_before import note_undecidable
from chaoskit.spec.load import EXPERIMENT as KIND
from chaoskit.spec.load import read_text
from chaoskit.spec.matrix import Variant, Variants
from chaoskit.substrate.selection import choose_each
from chaoskit.substrate.uml import Uml
from chaoskit.terminal import complain
from chaoskit.workers.cell import Cell, EndedCell, Workers
from chaoskit.workers.choice import choose
from chaoskit.workers.resources import largest_guest

_TICK = 200_000_000  # ns


@dataclass(frozen=True)
class PlannedVariant:
    """A variant, what is started for it, and its plan."""

    variant: Variant
    cell: Cell
    plan: Plan


@dataclass(frozen=True)
class SeriesOptions:
    """Options of all runs. `overrides` are set in the file by their paths; None for `jobs`: as many as processors."""

    each: RunOptions
    overrides: Mapping[str, Any]
    jobs: int | None = None


def run_series(variants: Variants, options: SeriesOptions) -> int:
    """Run all variants and show them side by side. Returns the worst exit code.

    Raises RefusedError before the first one if this machine cannot run one of them.
    """
    of_run = options.each
    plans = [prepare(variant.experiment, to_run=True, max_time=of_run.max_time) for variant in variants.each]
    note_undecidable(plans)
    substrates = choose_each(plans, of_run.substrate)
    is_alone = not all(isinstance(each, Uml) and each.virtual for each, _ in substrates)
    memory = None if is_alone else largest_guest(plans, of_run.substrate)
    in_folder = choose(None, options.jobs, is_alone, memory, of_run.substrate.kernel, RealClock())
    cells = _cells(variants, options, is_alone)
    planned = [PlannedVariant(*each) for each in zip(variants.each, cells, plans, strict=True)]
    top, screen = of_run.create({EXPERIMENT: variants.text}), Screen()
    lock = descriptor(top)
    assert lock is not None, "a new run directory is pinned"
    progress_screen().print(matrix.opening(plans[0].name, [why for _, why in substrates]))
    with names_records(top), InterruptHandler() as interrupts:
        series = Series(planned, of_run, top, in_folder(top, lock), interrupts)
        rows, codes = series.run()
        conclude(top, *_outcome(rows, interrupts))
    comparison = combine(variants, top, rows)
    matrix.render(comparison, screen)
    say_if_interrupted(comparison.status, top, is_shown=screen.file.isatty())
    write_reports(of_run.reports, top, comparison)
    of_run.tell_history()
    return worst_exit_code({comparison.exit_code, *codes})


def _cells(variants: Variants, options: SeriesOptions, is_alone: bool) -> list[Cell]:
    """A run of each variant. In a text from standard input the values are set already."""
    file, is_given = Path(variants.file), variants.file == "-"
    text = variants.text if is_given else read_text(file, KIND)
    values = {} if is_given else options.overrides
    words = [("--variant", variant.name, *options.each.words) for variant in variants.each]
    return [
        Cell(variant.name, file, values, options=each, is_alone=is_alone, text=text)
        for variant, each in zip(variants.each, words, strict=True)
    ]


def _outcome(rows: Sequence[VariantResult], interrupts: InterruptHandler) -> tuple[str, str]:
    """Of the series; each variant has its own."""
    if dirty := next((row.name for row in rows if row.status == "dirty"), ""):
        return "dirty", f"{dirty} was not restored"
    if interrupts.received and any(row.is_not_run or row.status == "interrupted" for row in rows):
        return "interrupted", interrupts.received.name
    return "finished", ""


class Series:
    """One run of a matrix, in the directory `top`."""

    def __init__(
        self,
        planned: Sequence[PlannedVariant],
        options: RunOptions,
        top: Path,
        workers: Workers,
        interrupts: InterruptHandler,
    ) -> None:
        self._planned, self._options, self._top = planned, options, top
        self._workers, self._interrupts = workers, interrupts
        self._begun = 0  # so many of the planned ones
        self._lines: dict[str, RunLine] = {}
        self._ended: dict[str, EndedCell] = {}
        self._rows: list[VariantResult] = []
        self._is_stopped = False

    def run(self) -> tuple[tuple[VariantResult, ...], set[int]]:
        """Run it. Returns a row for each variant, and the exit codes of those that ran."""
        self._interrupts.forward_to(self._workers)
        try:
            while self._begin() or self._workers.running():
                for end in self._next_ends():
                    self._ended[end.cell.name] = end
                    self._is_stopped |= end.code == NotRestoredError.exit_code
                while len(self._rows) < self._begun and self._planned[len(self._rows)].variant.name in self._ended:
                    self._show_next()
        finally:
            self._interrupts.forward_to(None)
            self._workers.close()
        missing = [variant_result(each.variant, self._top) for each in self._planned[len(self._rows) :]]
        return (*self._rows, *missing), {end.code for end in self._ended.values()}

    def _begin(self) -> bool:
        """Begin as many as may. Returns whether there was one."""
        before = self._begun
        while self._may_begin():
            planned = self._planned[self._begun]
            if not planned.cell.is_unchanged:
                self._is_stopped = True
                complain(f"{planned.cell.file} is another now: the variants from {planned.variant.name} on are not run")
                break
            self._begun += 1
            name = planned.variant.name
            label = f"{self._begun}/{len(self._planned)} {name}: "
            self._lines[name] = RunLine(planned.plan, self._top / name, label)
            self._workers.start(planned.cell)
        return self._begun > before

    def _may_begin(self) -> bool:
        is_stopped = self._is_stopped or self._interrupts.received is not None
        is_free = len(self._workers.running()) < self._workers.slots
        return self._begun < len(self._planned) and is_free and not is_stopped

    def _next_ends(self) -> Sequence[EndedCell]:
        """Show the progress until the next ones have ended."""
        with RunProgress(progress_screen(), [self._lines[name] for name in self._workers.running()]) as live:
            while self._workers.running():
                live.tick()
                if found := self._workers.ended(_TICK):
                    return found
        return []

    def _show_next(self) -> None:
        """Show how the next one in the order of the matrix has ended."""
        variant = self._planned[len(self._rows)].variant
        end, is_whole = self._ended[variant.name], self._interrupts.received is None
        row = self._row(variant, end)
        self._rows.append(row)
        line = matrix.variant_line(row, len(self._rows), len(self._planned))
        progress_screen().print(line, soft_wrap=True)
        if is_whole and row.result is not None and row.status != "refused" and end.complaint:
            complain(f"{variant.name}: {end.complaint}")
        if is_whole and row.status == "finished" and self._options.is_verified:
            tell_difference(self._top / variant.name)

    def _row(self, variant: Variant, end: EndedCell) -> VariantResult:
        place = self._top / variant.name
        try:
            found = VariantResult(name=variant.name, values=variant.values, result=read_result(place))
        except SpecError:
            found = variant_result(variant, self._top)
        if found.result is not None:
            self._options.keep(found.result, place)
        return found.model_copy(update={"error": end.complaint}) if found.is_not_run else found
