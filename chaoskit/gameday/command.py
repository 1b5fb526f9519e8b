"""Runs a suite as the command line asks: prepares its folder, runs it, and shows its result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaoskit.analysis.suite_result import SuiteResult
from chaoskit.clock import RealClock, date_in_name
from chaoskit.conduct.sudo_caller import caller
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.gameday.folder import GamedayFolder, latest
from chaoskit.gameday.preparation import Place, PreparedRun, check_commands, prepare
from chaoskit.gameday.run import Gameday, Surroundings, first_summary, restore_interrupted
from chaoskit.gameday.suite_history import SuiteHistory
from chaoskit.report import suite
from chaoskit.report.runs_progress import RunsProgress
from chaoskit.report.screen import Screen, progress_screen
from chaoskit.report.suite_documents import DOCUMENTS, write_documents
from chaoskit.spec.load import read_text
from chaoskit.spec.suite_load import SUITE, LoadedSuite, SuiteRun
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.workers.choice import InFolder, choose
from chaoskit.workers.resources import largest_guest

FOLDERS = Path("gamedays")


@dataclass(frozen=True)
class GamedayOptions:
    """Options of the command. `reports`: formats of each run, and of the suite those that it has.

    `dask` is the address of a scheduler, whose workers make the runs in virtual time.
    """

    where: SubstrateOptions
    out: Path | None
    is_resumed: bool
    jobs: int | None
    is_quiet: bool
    reports: tuple[str, ...] = ()
    history: Path | None = None
    dask: str | None = None


def run_gameday(loaded: LoadedSuite, runs: Sequence[SuiteRun], options: GamedayOptions) -> int:
    """Run the suite and show its result. Returns the exit code."""
    user = caller(os.environ, os.geteuid())
    check_commands(loaded, user)
    prepared = prepare(runs, place_of(options.where, _words(options)))
    history = SuiteHistory(options.history, loaded) if options.history is not None else None
    clock, in_folder = RealClock(), _workers(prepared, options)
    folder, former = _folder(loaded, options)
    with folder, InterruptHandler() as interrupts:
        if former is not None:
            restore_interrupted(prepared, former)
        summary = first_summary(loaded, prepared, former)
        count = sum(run.state == "waiting" for run in summary.runs)
        workers = in_folder(folder.path, folder.lock)
        with RunsProgress(count, workers.slots, None if options.is_quiet else progress_screen()) as progress:
            around = Surroundings(folder, workers, user, clock, interrupts, progress)
            found = Gameday(loaded, prepared, summary, around).run()
        if history is not None:
            history.keep(found, folder.path)
        shown = found.model_copy(update={"folder": str(options.out or folder.path)})
    suite.render(shown, Screen())
    write_documents([name for name in options.reports if name in DOCUMENTS], shown, folder.path)
    if history is not None:
        history.tell(folder.path)
    return found.exit_code


def _words(options: GamedayOptions) -> tuple[str, ...]:
    """Options of `run` for every run."""
    return ("--report", ",".join(options.reports)) if options.reports else ()


def _workers(prepared: Sequence[PreparedRun], options: GamedayOptions) -> InFolder:
    """Those of the scheduler, or of this machine. Raises SpecError, RefusedError."""
    plans = [plan for each in prepared if each.is_virtual for plan in each.found.plans]
    memory = largest_guest(plans, options.where) if plans else None
    return choose(options.dask, options.jobs, not plans, memory, options.where.kernel, RealClock())


def place_of(options: SubstrateOptions, every: tuple[str, ...] = ()) -> Place:
    """Where labs run by these options; `every` are words of all runs."""
    return Place(options.kernel, options.allow_virtual_time, options.words, every)


def _folder(loaded: LoadedSuite, options: GamedayOptions) -> tuple[GamedayFolder, SuiteResult | None]:
    """The folder, and the summary of a suite that is resumed."""
    name = loaded.suite.name
    if options.is_resumed:
        return GamedayFolder.resume(options.out or latest(FOLDERS, name), loaded.fingerprint)
    place = options.out or FOLDERS / f"{name}-{date_in_name()}"
    return GamedayFolder.create(place, options.out is not None, read_text(loaded.file, SUITE)), None
