"""`chaoskit plan FILE`: shows everything that a run would change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from chaoskit.terminal import say_json


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file or suite (YAML).")],
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Variant of the matrix. Default: the first.")
    ] = None,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help="Plan a run that repeats the timeline until all is decided.")
    ] = False,
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="End --until-decided after this time. Default: 10m.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="List every change, also what every lab is made of.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON, as in plan.json.")] = False,
) -> None:
    """Show what a run would change. Includes what the kernel rounds, and the duration. Changes nothing."""
    from chaoskit.conduct.planning import prepare
    from chaoskit.errors import SpecError
    from chaoskit.gameday.planned import show_plan
    from chaoskit.gameday.preparation import Place
    from chaoskit.report import plan, variants
    from chaoskit.report.screen import Screen
    from chaoskit.report.warnings_before import note_undecidable
    from chaoskit.spec.matrix import load_variants
    from chaoskit.spec.options import time_until_decided
    from chaoskit.spec.suite_load import is_suite_file, load_suite

    if is_suite_file(file):
        if variant or until_decided or max_time or all_:
            raise SpecError(f"{file} is a suite, which has these options in it: chaoskit plan {file}")
        suite = load_suite(file)
        show_plan(suite, suite.runs, Place(), json)
        return
    loaded = load_variants(file)
    chosen = loaded.each[0] if loaded.axes and variant is None else loaded.named(variant)
    found = prepare(chosen.experiment, max_time=time_until_decided(until_decided, max_time))
    if json:
        say_json(found.model_dump_json(indent=2))
        note_undecidable([found])
    else:
        plan.render(found, Screen(), all_)
    if loaded.axes:
        variants.render(loaded, chosen, Screen(sys.stderr if json else sys.stdout))
