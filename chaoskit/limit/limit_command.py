"""Searches a limit as the command line asks, and shows it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoskit.analysis.limits.limit_result import LOCK, SUMMARY, LimitResult, LimitSearch, load_limit
from chaoskit.clock import RealClock, date_in_name, wall
from chaoskit.errors import SpecError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.folder import display_path
from chaoskit.limit.prepared_search import Asked, Budget, PreparedSearch, prepare
from chaoskit.limit.search_runs import LimitSearching, Surroundings
from chaoskit.records.directory import make_next
from chaoskit.report.limit_documents import LIMIT_DOCUMENTS
from chaoskit.report.limit_progress import LimitProgress
from chaoskit.report.screen import progress_screen
from chaoskit.report.warnings_before import note_warnings
from chaoskit.substrate.selection import SubstrateOptions, choose_each
from chaoskit.workers.choice import choose
from chaoskit.workers.runs_folder import RunsFolder

FOLDERS = Path("limits")


@dataclass(frozen=True)
class LimitOptions:
    """Options of the command. `format` is that of the result on standard output.

    `dask` is the address of a scheduler, whose workers make the runs.
    """

    where: SubstrateOptions
    budget: Budget
    out: Path | None = None
    is_resumed: bool = False
    jobs: int | None = None
    format: str = "console"
    is_quiet: bool = False
    dask: str | None = None


def run_limit(asked: Asked, options: LimitOptions) -> int:
    """Search, and show the result. Returns the exit code."""
    names = LIMIT_DOCUMENTS.chosen([options.format])
    prepared = prepare(asked, options.where)
    choose_each(prepared.plans, options.where)
    clock, is_alone = RealClock(), not prepared.is_virtual
    in_folder = choose(options.dask, options.jobs, is_alone, prepared.memory, options.where.kernel, clock)
    folder, former = _folder(prepared, options)
    note_warnings(prepared.warnings, prepared.advice)
    with folder, InterruptHandler() as interrupts:
        workers = in_folder(folder.path, folder.lock)
        summary = former or first_summary(prepared, workers.slots)
        screen = None if options.is_quiet else progress_screen()
        with LimitProgress(options.budget.max_runs, screen) as progress:
            around = Surroundings(folder, workers, clock, interrupts, progress)
            found = LimitSearching(prepared, options.budget, summary, around).run()
        found = found.model_copy(update={"folder": str(display_path(options.out or folder.path))})
    LIMIT_DOCUMENTS.show(found, names, None)
    return found.exit_code


def first_summary(prepared: PreparedSearch, slots: int) -> LimitResult:
    """That before the first run."""
    asked, scale = prepared.asked, prepared.doses
    return LimitResult(
        name=prepared.experiment.name,
        question=prepared.experiment.question,
        file=str(asked.file),
        fingerprint=prepared.fingerprint,
        path=asked.path,
        easy=scale.texts[0],
        hard=scale.texts[-1],
        goes_down=not scale.goes_up,
        precision=asked.precision,
        slots=slots,
        at_least=asked.at_least,
        warnings=prepared.warnings,
        started=wall(),
        searches=tuple(LimitSearch(at={key: str(value) for key, value in each.items()}) for each in prepared.points),
    )


def _folder(prepared: PreparedSearch, options: LimitOptions) -> tuple[RunsFolder, LimitResult | None]:
    """The folder, and the summary of a search that is resumed. Raises SpecError, RefusedError."""
    if not options.is_resumed:
        place = options.out or make_next(FOLDERS / f"{prepared.experiment.name}-{date_in_name()}")
        if os.path.lexists(place / SUMMARY):
            raise SpecError(f"{display_path(place)} is the folder of a search: --resume goes on with it")
        return RunsFolder.make(place, LOCK), None
    if options.out is None:
        raise SpecError("--resume: name the folder of the search with --out")
    load_limit(options.out)
    folder = RunsFolder.open(options.out, LOCK)
    found = load_limit(options.out)  # which the former owner may have changed until it had the lock
    if found.fingerprint != prepared.fingerprint:
        folder.close()
        raise SpecError(
            f"{display_path(options.out)} is a search of {found.file} with other values, or the file is another now; "
            "give another --out, without --resume"
        )
    return folder, going_on(found)


def going_on(found: LimitResult) -> LimitResult:
    """The summary of a search that goes on: without what its former end said; runs that failed are run anew."""
    anew: dict[str, Any] = {"state": "interrupted", "code": None, "reason": ""}
    searches = (
        each.model_copy(
            update={"runs": tuple(run.model_copy(update=anew if run.has_failed else {}) for run in each.runs)}
        )
        for each in found.searches
    )
    update = {"status": "running", "detail": "", "error_code": None, "searches": tuple(searches)}
    return found.model_copy(update=update)
