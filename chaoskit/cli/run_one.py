"""One experiment to its verdict."""

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
from chaoskit.records.directory import EXPERIMENT, PLAN, create, first_difference
from chaoskit.report import console
from chaoskit.report.result_json import write_result
from chaoskit.report.screen import Screen
from chaoskit.report.styles import styled, titled
from chaoskit.spec.matrix import Variant
from chaoskit.substrate.selection import SubstrateOptions, choose
from chaoskit.terminal import ascii_json


@dataclass(frozen=True)
class RunOptions:
    """What a user asked for beside the file; `is_verified`: every run is done twice, and compared."""

    wish: SubstrateOptions
    directory: Path
    is_verified: bool


def single(variant: Variant, order: RunOptions) -> int:
    """Run it and show what it found. Returns the exit code."""
    plan = prepare(variant.experiment, to_run=True)
    substrate, why = choose(plan.needs, order.wish, plan.interface)
    job = Job(plan, substrate, create(order.directory, files(variant, plan)))
    screen = Screen()
    screen.print(titled(plan.name, f": {why}"))
    with InterruptHandler() as ear:
        code = watch(job, screen, ear)
    result = understood(job.directory)
    console.render(result, screen)
    if order.is_verified and result.outcome.status == "finished":
        with InterruptHandler() as ear:
            return EXIT_UNDECIDED if differs(job, variant, screen, ear) else result.exit_code
    return max(code, result.exit_code)


def files(variant: Variant, plan: Plan) -> dict[str, str]:
    """What a run directory holds first."""
    return {EXPERIMENT: variant.text, PLAN: ascii_json(plan.model_dump_json(indent=1)) + "\n"}


def differs(job: Job, variant: Variant, screen: Screen, ear: InterruptHandler) -> bool:
    """Run it again, and say whether every byte is the same."""
    again = create(job.directory / "again", files(variant, job.plan))
    watch(replace(job, directory=again), screen, ear, "again: ")
    understood(again)
    difference = first_difference(job.directory, again)
    screen.print(styled(f"repeated: {difference or 'every byte the same'}"))
    return bool(difference)


def understood(directory: Path) -> Result:
    """What the run in this directory found, which is written down there too."""
    result = analyse(directory)
    write_result(result, directory)
    return result
