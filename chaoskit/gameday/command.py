"""Does what `chaoskit gameday` is asked for: plans a suite, or prepares its folder, runs it and shows its result."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaoskit.analysis.suite import SuiteResult
from chaoskit.clock import RealClock
from chaoskit.conduct.sudo_caller import caller
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.execution.options import date_in_name
from chaoskit.gameday.folder import GamedayFolder, latest
from chaoskit.gameday.preparation import PreparedRun, check_commands, prepare
from chaoskit.gameday.run import Gameday, Surroundings, first_summary, restore_interrupted
from chaoskit.report import suite, suite_plan
from chaoskit.report.screen import Screen
from chaoskit.report.suite_progress import SuiteProgress
from chaoskit.spec.load import read_text
from chaoskit.spec.suite_load import SUITE, LoadedSuite, SuiteRun, load_suite
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.terminal import say_json
from chaoskit.units import counted

FOLDERS = Path("gamedays")


@dataclass(frozen=True)
class GamedayOptions:
    """Options of the command: where runs run, its folder, whether it is resumed, how many at once, and how quiet."""

    where: SubstrateOptions
    out: Path | None
    is_resumed: bool
    jobs: int | None
    is_quiet: bool


def show_plan(loaded: LoadedSuite, runs: Sequence[SuiteRun], where: SubstrateOptions, as_json: bool = False) -> None:
    """Print what would run, and for how long. Raises SpecError for what cannot."""
    rows = [_row(each) for each in prepare(runs, where)]
    if as_json:
        say_json(suite_plan.as_json(loaded.suite, rows))
    else:
        suite_plan.render(loaded.suite, rows, Screen())


def _row(prepared: PreparedRun) -> suite_plan.Row:
    run = prepared.run
    return suite_plan.Row(
        name=run.name,
        file=str(run.file),
        experiments=len(prepared.found.plans),
        length=run.length,
        is_virtual=prepared.is_virtual,
        expect=run.expect,
        owner=run.owner,
        command=shlex.join(("chaoskit", "run", *prepared.words)),
        warnings=prepared.found.warnings,
    )


def check_suite(file: Path) -> list[str]:
    """Lines about a suite file that is valid. Raises SpecError for one that is not, or an experiment of it."""
    loaded = load_suite(file)
    rows = [_row(each) for each in prepare(loaded.runs, SubstrateOptions())]
    warnings = [f"  warning: {row.name}: {warning}" for row in rows for warning in row.warnings]
    remarks = [counted(len(rows), "run"), *([counted(len(warnings), "warning")] if warnings else [])]
    return [", ".join([f"{file}: ok", loaded.suite.name, *remarks]), *warnings]


def run_gameday(loaded: LoadedSuite, runs: Sequence[SuiteRun], options: GamedayOptions) -> int:
    """Run the suite and show its result. Returns the exit code."""
    user = caller(os.environ, os.geteuid())
    check_commands(loaded, user)
    prepared = prepare(runs, options.where)
    folder, former = _folder(loaded, options)
    jobs = options.jobs or len(os.sched_getaffinity(0))
    screen = Screen()
    with folder, InterruptHandler() as interrupts:
        if former is not None:
            restore_interrupted(prepared, former)
        summary = first_summary(loaded, prepared, former)
        count = sum(run.state == "waiting" for run in summary.runs)
        with SuiteProgress(count, jobs, None if options.is_quiet else screen) as progress:
            around = Surroundings(folder, jobs, user, RealClock(), interrupts, progress)
            found = Gameday(loaded, prepared, summary, around).run()
        shown = found.model_copy(update={"folder": str(options.out or folder.path)})
    suite.render(shown, screen)
    return found.exit_code


def _folder(loaded: LoadedSuite, options: GamedayOptions) -> tuple[GamedayFolder, SuiteResult | None]:
    """The folder, and the summary of a suite that is resumed."""
    name = loaded.suite.name
    if options.is_resumed:
        return GamedayFolder.resume(options.out or latest(FOLDERS, name), loaded.fingerprint)
    place = options.out or FOLDERS / f"{name}-{date_in_name()}"
    return GamedayFolder.create(place, options.out is not None, read_text(loaded.file, SUITE)), None
