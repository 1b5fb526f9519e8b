"""Runs one experiment and shows its verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.conduct.planning import prepare
from chaoskit.errors import EXIT_UNDECIDED
from chaoskit.execution.interrupts import InterruptHandler, say_if_interrupted
from chaoskit.execution.job import Job, watch
from chaoskit.execution.options import RunOptions, names_records, save
from chaoskit.folder import release
from chaoskit.planning.model import Plan
from chaoskit.records.directory import EXPERIMENT, PLAN, PROVENANCE, create, first_difference
from chaoskit.report import console
from chaoskit.report.formats.destinations import write_reports
from chaoskit.report.screen import Screen, progress_screen
from chaoskit.report.styles import styled, titled
from chaoskit.report.warnings_before import note_undecidable
from chaoskit.spec.matrix import Variant
from chaoskit.substrate.selection import choose
from chaoskit.terminal import ascii_json

AGAIN = "again"
"""The folder of a run's repetition, in its own: a run directory."""


def run_single(variant: Variant, options: RunOptions) -> int:
    """Run it and show its result. Returns the exit code."""
    job, why = prepared(variant, options)
    note_undecidable([job.plan])
    screen, progress = Screen(), progress_screen()
    progress.print(titled(job.plan.name, f": {why}"))
    with names_records(job.directory):
        with InterruptHandler() as interrupts:
            code = watch(job, progress, interrupts)
        result = analyse(job.directory)
        console.render(result, screen)
        options.keep(result, job.directory)
    say_if_interrupted(result.outcome.status, job.directory, is_shown=screen.file.isatty())
    if options.is_verified and result.outcome.status == "finished":
        with InterruptHandler() as interrupts:
            code = EXIT_UNDECIDED if differs(job, variant, interrupts) else result.exit_code
    else:
        code = max(code, result.exit_code)
    write_reports(options.reports, job.directory, result)
    options.tell_history()
    return code


def run_silently(variant: Variant, options: RunOptions, interrupts: InterruptHandler) -> Result:
    """Run it, write its result, and show nothing. Raises RefusedError where this machine cannot run it."""
    job, _ = prepared(variant, options)
    try:
        with names_records(job.directory):
            watch(job, None, interrupts)
            result = analyse(job.directory)
            options.keep(result, job.directory)
            write_reports(options.reports, job.directory, result)
    finally:
        release(job.directory)
    return result


def prepared(variant: Variant, options: RunOptions) -> tuple[Job, str]:
    """The run in a new directory, and why it runs where it does. Raises RefusedError where this machine cannot."""
    plan = prepare(variant.experiment, to_run=True, max_time=options.max_time)
    substrate, why = choose(plan.needs, options.substrate, plan.interface, plan.memory)
    return Job(plan, substrate, options.create(files(variant, plan, options.provenance))), why


def files(variant: Variant, plan: Plan, provenance: str) -> dict[str, str]:
    """The files that a new run directory starts with."""
    written = ascii_json(plan.model_dump_json(indent=1)) + "\n"
    return {EXPERIMENT: variant.text, PLAN: written, PROVENANCE: provenance}


def differs(job: Job, variant: Variant, interrupts: InterruptHandler) -> bool:
    """Run it again. Returns whether a byte of the records differs."""
    again = create(job.directory / AGAIN, files(variant, job.plan, (job.directory / PROVENANCE).read_text()))
    watch(replace(job, directory=again), progress_screen(), interrupts, "again: ")
    save(analyse(again), again)
    return tell_difference(job.directory)


def tell_difference(directory: Path) -> bool:
    """Show the first difference of a run and its repetition. Returns whether there is one."""
    difference = first_difference(directory, directory / AGAIN)
    Screen().print(styled(f"repeated: {difference or 'every byte the same'}"))
    return bool(difference)
