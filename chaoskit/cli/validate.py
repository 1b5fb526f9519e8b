"""`chaoskit validate FILE...`: is this an experiment?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def validate(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Experiment files.")]) -> None:
    """Check experiment files. Every mistake is answered with file, line and what was expected."""
    from chaoskit.errors import SpecError
    from chaoskit.plan.compile import compile_plan
    from chaoskit.spec.load import load

    complaints = []
    for file in files:
        try:
            plan = compile_plan(load(file))
        except SpecError as error:
            complaints.append(str(error))
            continue
        typer.echo(f"{file}: ok, {plan.name}" + (f", {len(plan.warnings)} warning(s)" if plan.warnings else ""))
        for warning in plan.warnings:
            typer.echo(f"  warning: {warning}")
    if complaints:
        raise SpecError("\n".join(complaints))
