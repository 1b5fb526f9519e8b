"""Runs all variants of a matrix in turn, until Ctrl-C or a variant that could not restore everything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaoskit.analysis.load import read_outcome
from chaoskit.analysis.matrix import VariantResult, combine, variant_result, worst_exit_code
from chaoskit.conduct.planning import prepare
from chaoskit.errors import EXIT_UNDECIDED, RefusedError
from chaoskit.execution.interrupts import InterruptHandler, say_if_interrupted
from chaoskit.execution.job import Job, watch
from chaoskit.execution.options import RunOptions, names_records
from chaoskit.execution.single import differs, files
from chaoskit.records.directory import EXPERIMENT, conclude, create
from chaoskit.report import matrix
from chaoskit.report.formats.destinations import write_reports
from chaoskit.report.screen import Screen, progress_screen
from chaoskit.report.undecidable import note_undecidable
from chaoskit.spec.matrix import Variant, Variants
from chaoskit.substrate.selection import choose_each


def run_series(variants: Variants, options: RunOptions) -> int:
    """Run all variants and show them side by side. Returns the worst exit code.

    Raises RefusedError before the first one if this machine cannot run one of them.
    """
    plans = [prepare(variant.experiment, to_run=True, max_time=options.max_time) for variant in variants.each]
    note_undecidable(plans)
    substrates = choose_each(plans, options.substrate)
    top, screen = options.create({EXPERIMENT: variants.text}), Screen()
    progress = progress_screen()
    progress.print(matrix.opening(plans[0].name, [why for _, why in substrates]))
    rows: list[VariantResult] = []
    codes = set()
    with names_records(top), InterruptHandler() as interrupts:
        for variant, plan, (substrate, _) in zip(variants.each, plans, substrates, strict=True):
            job = Job(plan, substrate, create(top / variant.name, files(variant, plan, options.provenance)))
            _run_variant(job, progress, interrupts, f"{len(rows) + 1}/{len(plans)} {variant.name}: ")
            rows.append(_row(variant, top, options))
            progress.print(matrix.variant_line(rows[-1], len(rows), len(plans)), soft_wrap=True)
            if rows[-1].status == "finished" and options.is_verified and not interrupts.received:
                codes.add(EXIT_UNDECIDED if differs(job, variant, interrupts) else 0)
            if interrupts.received or rows[-1].status == "dirty":
                break
        conclude(top, *_outcome(rows, len(plans), interrupts))
    missing = (variant_result(variant, top) for variant in variants.each[len(rows) :])
    comparison = combine(variants, top, (*rows, *missing))
    matrix.render(comparison, screen)
    say_if_interrupted(comparison.status, top, is_shown=screen.file.isatty())
    write_reports(options.reports, top, comparison)
    options.tell_history()
    return worst_exit_code({comparison.exit_code, *codes})


def _run_variant(job: Job, screen: Screen, interrupts: InterruptHandler, label: str) -> None:
    """Run it. A refusal midway is recorded as its outcome."""
    try:
        watch(job, screen, interrupts, label)
    except RefusedError as error:
        if read_outcome(job.directory, is_experiment=True)[0] == "interrupted":
            conclude(job.directory, "refused", str(error))


def _row(variant: Variant, top: Path, options: RunOptions) -> VariantResult:
    found = variant_result(variant, top)
    if found.result is not None:
        options.keep(found.result, top / variant.name)
    return found


def _outcome(rows: Sequence[VariantResult], count: int, interrupts: InterruptHandler) -> tuple[str, str]:
    """Of the series; each variant has its own."""
    if rows[-1].status == "dirty":
        return "dirty", f"{rows[-1].name} was not restored"
    if interrupts.received and (len(rows) < count or rows[-1].status == "interrupted"):
        return "interrupted", interrupts.received.name
    return "finished", ""
