"""`chaoskit plan FILE`: everything that would change, before anything does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plan(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An experiment file.")],
    json: Annotated[bool, typer.Option("--json", help="The plan as JSON, as a run directory keeps it.")] = False,
) -> None:
    """Show what a run would change. All of it, what the kernel will round, how long it takes. Touches nothing."""
    from rich.console import Console

    from chaoskit.plan.compile import compile_plan
    from chaoskit.report.planned import render
    from chaoskit.spec.load import load

    planned = compile_plan(load(file))
    if json:
        typer.echo(planned.model_dump_json(indent=2))
    else:
        render(planned, Console())
