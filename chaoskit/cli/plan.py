"""`chaoskit plan FILE`: everything that would change, before anything does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from chaoskit.terminal import say_json


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An experiment file.")],
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Of FILE's matrix; default: the first.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The plan as JSON, as a run directory keeps it.")] = False,
) -> None:
    """Show what a run would change. All of it, what the kernel will round, how long it takes. Touches nothing."""
    from chaoskit.conduct.planning import prepare
    from chaoskit.report import plan, variants
    from chaoskit.report.screen import Screen
    from chaoskit.spec.matrix import load_variants

    told = load_variants(file)
    chosen = told.each[0] if told.axes and variant is None else told.named(variant)
    found = prepare(chosen.experiment)
    if json:
        say_json(found.model_dump_json(indent=2))
    else:
        plan.render(found, Screen())
    if told.axes:
        variants.render(told, chosen, Screen(sys.stderr if json else sys.stdout))
