"""Shows what a suite would run, and checks a suite file with its experiments. Starts nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from chaoskit.gameday.preparation import Place, PreparedRun, missing_programs, prepare
from chaoskit.report import suite_plan
from chaoskit.report.screen import Screen
from chaoskit.spec.suite_load import LoadedSuite, SuiteRun, load_suite
from chaoskit.terminal import say_json
from chaoskit.units import counted


def show_plan(loaded: LoadedSuite, runs: Sequence[SuiteRun], place: Place, as_json: bool = False) -> None:
    """Print what would run, and for how long. Raises SpecError for what cannot."""
    rows = [_row(each) for each in prepare(runs, place)]
    if as_json:
        say_json(suite_plan.as_json(loaded.suite, rows))
    else:
        suite_plan.render(loaded.suite, str(loaded.file), rows, Screen())


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
        command=shlex.join(("chaoskit", "run", *prepared.cell.words)),
        warnings=prepared.found.all_warnings,
        before=run.before,
        after=run.after,
    )


def check_suite(file: Path) -> list[str]:
    """Lines about a suite file that is valid. Raises SpecError for one that is not, or an experiment of it."""
    loaded = load_suite(file)
    rows = [_row(each) for each in prepare(loaded.runs, Place())]
    warnings = [f"  warning: {missing} on this machine" for missing in missing_programs(loaded)]
    warnings += [f"  warning: {row.name}: {warning}" for row in rows for warning in row.warnings]
    remarks = [counted(len(rows), "run"), *([counted(len(warnings), "warning")] if warnings else [])]
    return [", ".join([f"{file}: ok", loaded.suite.name, *remarks]), *warnings]
