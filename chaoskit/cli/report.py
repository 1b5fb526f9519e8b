"""`chaoskit report RUNDIR`: shows the result of a run, computed from its records."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaoskit.terminal import say_json

if TYPE_CHECKING:
    from chaoskit.analysis.matrix import MatrixResult
    from chaoskit.analysis.result import Result


class Format(StrEnum):
    """How a result can be shown."""

    CONSOLE = "console"
    JSON = "json"


def report(
    run: Annotated[Path, typer.Argument(metavar="RUNDIR", help="Run directory, or that of a matrix.")],
    format: Annotated[Format, typer.Option(help="json prints everything, as in result.json.")] = Format.CONSOLE,
) -> None:
    """Show the result of a run. It is computed from the records in RUNDIR; the exit code is the run's."""
    from chaoskit.analysis import matrix
    from chaoskit.analysis.analyse import analyse
    from chaoskit.report.result_json import as_json

    found = matrix.load_matrix(run) if matrix.is_matrix_run(run) else analyse(run)
    if format is Format.JSON:
        say_json(as_json(found))
    else:
        _render(found)
    raise typer.Exit(found.exit_code)


def _render(found: Result | MatrixResult) -> None:
    from chaoskit.analysis.result import Result
    from chaoskit.report import console, matrix
    from chaoskit.report.screen import Screen

    if isinstance(found, Result):
        console.render(found, Screen())
    else:
        matrix.render(found, Screen())
