"""Runs a sweep as the command line asks: prepares its folder, runs it, and shows what it measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chaoskit.analysis.sweep_points import load_measurement
from chaoskit.analysis.sweep_result import Kept, SweepResult
from chaoskit.clock import RealClock, date_in_name
from chaoskit.errors import SpecError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.report.runs_progress import RunsProgress
from chaoskit.report.screen import Screen, progress_screen
from chaoskit.report.sweep_console import render
from chaoskit.report.sweep_documents import SWEEP_DOCUMENTS
from chaoskit.report.warnings_before import note_warnings
from chaoskit.substrate.selection import SubstrateOptions, choose_each
from chaoskit.sweep import disk_space
from chaoskit.sweep.cell_runs import Surroundings, Sweep, first_journal
from chaoskit.sweep.cells import SweepPlan, plan_sweep
from chaoskit.sweep.sweep_folder import SweepFolder
from chaoskit.workers.choice import choose

FOLDERS = Path("sweeps")


@dataclass(frozen=True)
class SweepOptions:
    """Options of the command. `reports`: formats of the whole that are written into its folder.

    `dask` is the address of a scheduler, whose workers run the cells.
    """

    where: SubstrateOptions
    overrides: Mapping[str, Any]
    variations: Mapping[str, Sequence[Any]]
    repeats: int = 1
    out: Path | None = None
    is_resumed: bool = False
    jobs: int | None = None
    keep: Kept = "runs"
    is_quiet: bool = False
    reports: tuple[str, ...] = ()
    dask: str | None = None


def run_sweep(file: Path, options: SweepOptions) -> int:
    """Run the sweep of this file, and show it. Returns the exit code."""
    plan = plan_sweep(file, options.overrides, options.variations, options.repeats, options.where)
    choose_each(plan.found.plans, options.where)
    screen, clock = Screen(), RealClock()
    in_folder = choose(options.dask, options.jobs, plan.is_alone, plan.memory, options.where.kernel, clock)
    folder, former = _folder(plan, options)
    note_warnings(plan.found.all_warnings, plan.found.all_advice)
    with folder, InterruptHandler() as interrupts:
        journal = first_journal(plan, options.keep, former)
        waiting = sum(cell.state == "waiting" for cell in journal.cells)
        workers = in_folder(folder.path, folder.lock)
        with RunsProgress(waiting, workers.slots, None if options.is_quiet else progress_screen()) as progress:
            free = partial(disk_space.free_disk, folder.path)
            found = Sweep(plan, journal, Surroundings(folder, workers, clock, interrupts, progress, free)).run()
        shown = found.model_copy(update={"folder": str(options.out or folder.path)})
        measured = load_measurement(shown, folder.path)
    render(measured, screen)
    SWEEP_DOCUMENTS.write_into(folder.path, options.reports, measured)
    return found.exit_code


def _folder(plan: SweepPlan, options: SweepOptions) -> tuple[SweepFolder, SweepResult | None]:
    """The folder, and the journal of a sweep that is resumed."""
    if options.is_resumed:
        if options.out is None:
            raise SpecError("--resume: name the folder of the sweep with --out")
        return SweepFolder.resume(options.out, plan.fingerprint)
    place = options.out or FOLDERS / f"{plan.name}-{date_in_name()}"
    return SweepFolder.create(place, options.out is not None, plan.text), None
