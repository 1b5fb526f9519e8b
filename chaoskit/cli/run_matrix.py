"""All variants of a matrix, one after the other.

Each has a run directory of its own below one. The first Ctrl-C ends the rest; so does a variant that could
not put everything back. A variant that is refused half-way does not keep the others from running.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaoskit.analysis.load import read_outcome
from chaoskit.analysis.matrix import EXIT_UNDECIDED, VariantResult, combine, variant_result, worst_exit_code
from chaoskit.cli.interrupts import InterruptHandler
from chaoskit.cli.run_one import RunOptions, differs, files
from chaoskit.cli.watch import Job, watch
from chaoskit.conduct.planning import prepare
from chaoskit.errors import RefusedError
from chaoskit.records.directory import EXPERIMENT, conclude, create
from chaoskit.report import matrix
from chaoskit.report.result_json import write_result
from chaoskit.report.screen import Screen
from chaoskit.report.styles import titled
from chaoskit.spec.matrix import Variant, Variants
from chaoskit.substrate.selection import choose_each


def series(told: Variants, order: RunOptions) -> int:
    """Run all of them and show them side by side. Returns the exit code of the worst.

    Raises RefusedError before the first one when this machine cannot do one of them.
    """
    plans = [prepare(variant.experiment, to_run=True) for variant in told.each]
    substrates = choose_each(plans, order.wish)
    top, screen = create(order.directory, {EXPERIMENT: told.text}), Screen()
    reasons = "; ".join(dict.fromkeys(why for _, why in substrates))
    screen.print(titled(plans[0].name, f": {len(plans)} variants, {reasons}"))
    rows: list[VariantResult] = []
    codes = set()
    with InterruptHandler() as ear:
        for variant, plan, (substrate, _) in zip(told.each, plans, substrates, strict=True):
            job = Job(plan, substrate, create(top / variant.name, files(variant, plan)))
            _attempt(job, screen, ear, f"{len(rows) + 1}/{len(plans)} {variant.name}: ")
            rows.append(_row(variant, top))
            screen.print(matrix.variant_line(rows[-1], len(rows), len(plans)), soft_wrap=True)
            if rows[-1].status == "finished" and order.is_verified and not ear.heard:
                codes.add(EXIT_UNDECIDED if differs(job, variant, screen, ear) else 0)
            if ear.heard or rows[-1].status == "dirty":
                break
        conclude(top, *_how(rows, len(plans), ear))
    found = combine(told, top, (*rows, *(variant_result(variant, top) for variant in told.each[len(rows) :])))
    screen.print()
    matrix.render(found, screen)
    return worst_exit_code({found.exit_code, *codes})


def _attempt(job: Job, screen: Screen, ear: InterruptHandler, label: str) -> None:
    """Run it. A refusal half-way is written down as how it went."""
    try:
        watch(job, screen, ear, label)
    except RefusedError as error:
        if read_outcome(job.directory, is_experiment=True)[0] == "interrupted":
            conclude(job.directory, "refused", str(error))


def _row(variant: Variant, top: Path) -> VariantResult:
    found = variant_result(variant, top)
    if found.result is not None:
        write_result(found.result, top / variant.name)
    return found


def _how(rows: Sequence[VariantResult], count: int, ear: InterruptHandler) -> tuple[str, str]:
    """How it went as a whole: what a variant did is told by the variant."""
    if rows[-1].status == "dirty":
        return "dirty", f"{rows[-1].name} was not put back"
    if ear.heard and (len(rows) < count or rows[-1].status == "interrupted"):
        return "interrupted", ear.heard.name
    return "finished", ""
