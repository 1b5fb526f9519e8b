"""`chaoskit report RUNDIR`: what a run found, worked out again from its records."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a result can be shown."""

    CONSOLE = "console"
    JSON = "json"


def report(
    run: Annotated[Path, typer.Argument(metavar="RUNDIR", help="A run directory.")],
    format: Annotated[Format, typer.Option(help="For people, or all of it as in result.json.")] = Format.CONSOLE,
) -> None:
    """Show what a run found. From the records in RUNDIR alone. The exit code is the run's own."""
    from rich.console import Console

    from chaoskit.analysis.analyse import analyse
    from chaoskit.report.console import render
    from chaoskit.report.files import as_json

    result = analyse(run)
    if format is Format.JSON:
        typer.echo(as_json(result), nl=False)
    else:
        render(result, Console())
    raise typer.Exit(result.exit_code)
