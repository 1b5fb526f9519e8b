"""Runs one experiment and shows its verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.matrix import EXIT_UNDECIDED
from chaoskit.analysis.result import Result
from chaoskit.cli.interrupts import InterruptHandler
from chaoskit.cli.watch import Job, watch
from chaoskit.conduct.planning import prepare
from chaoskit.plan.model import Plan
from chaoskit.records.directory import EXPERIMENT, PLAN, PROVENANCE, create, first_difference
from chaoskit.report import console
from chaoskit.report.result_json import write_result
from chaoskit.report.screen import Screen
from chaoskit.report.styles import styled, titled
from chaoskit.report.undecidable import note_undecidable
from chaoskit.spec.matrix import Variant
from chaoskit.substrate.selection import SubstrateOptions, choose
from chaoskit.terminal import ascii_json


@dataclass(frozen=True)
class RunOptions:
    """Options of a run beside the file. `is_verified`: every run is done twice and compared.

    `provenance` is what the run is made with: the content of `provenance.json`.
    """

    substrate: SubstrateOptions
    directory: Path
    is_verified: bool
    provenance: str


def run_single(variant: Variant, options: RunOptions) -> int:
    """Run it and show its result. Returns the exit code."""
    plan = prepare(variant.experiment, to_run=True)
    note_undecidable([plan])
    substrate, why = choose(plan.needs, options.substrate, plan.interface)
    job = Job(plan, substrate, create(options.directory, files(variant, plan, options.provenance)))
    screen = Screen()
    screen.print(titled(plan.name, f": {why}"))
    with InterruptHandler() as interrupts:
        code = watch(job, screen, interrupts)
    result = analyse_and_write(job.directory)
    console.render(result, screen)
    if options.is_verified and result.outcome.status == "finished":
        with InterruptHandler() as interrupts:
            return EXIT_UNDECIDED if differs(job, variant, screen, interrupts) else result.exit_code
    return max(code, result.exit_code)


def files(variant: Variant, plan: Plan, provenance: str) -> dict[str, str]:
    """The files that a new run directory starts with."""
    written = ascii_json(plan.model_dump_json(indent=1)) + "\n"
    return {EXPERIMENT: variant.text, PLAN: written, PROVENANCE: provenance}


def differs(job: Job, variant: Variant, screen: Screen, interrupts: InterruptHandler) -> bool:
    """Run it again. Returns whether a byte of the records differs."""
    again = create(job.directory / "again", files(variant, job.plan, (job.directory / PROVENANCE).read_text()))
    watch(replace(job, directory=again), screen, interrupts, "again: ")
    analyse_and_write(again)
    difference = first_difference(job.directory, again)
    screen.print(styled(f"repeated: {difference or 'every byte the same'}"))
    return bool(difference)


def analyse_and_write(directory: Path) -> Result:
    """The result of the run in this directory; also writes result.json there."""
    result = analyse(directory)
    write_result(result, directory)
    return result
