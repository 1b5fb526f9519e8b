"""`chaoskit report RUNDIR...`: shows the results of runs, computed from their records, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.report.formats import FORMATS, chosen, format_of


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUNDIR", help="Run directory, or that of a matrix, suite or sweep.")
    ],
    format: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help=f"{', '.join(FORMATS)}. Default: that of FILE's ending, or console."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write it there, - for standard output; several formats into a folder."
        ),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of csv and parquet: this table alone, such as tokens.")
    ] = None,
) -> None:
    """Show the result of a run. It is computed from the records in RUNDIR; the exit code is the run's.

    Several runs are one document where the format holds several; the exit code is the worst.
    """
    from chaoskit.analysis.limits.limit_result import is_limit_folder
    from chaoskit.analysis.matrix import worst_exit_code
    from chaoskit.analysis.suite_result import is_suite_folder
    from chaoskit.analysis.sweep_result import is_sweep_folder
    from chaoskit.cli.limit_report import report_limit
    from chaoskit.cli.report_output import load, show
    from chaoskit.cli.suite_report import report_suite
    from chaoskit.cli.sweep_report import report_sweep
    from chaoskit.report.formats.table_places import require_table

    words = format.split(",") if format else [format_of(out.name if out else "")]
    if any(map(is_sweep_folder, runs)):
        raise typer.Exit(report_sweep(runs, words, out))
    if any(map(is_limit_folder, runs)):
        raise typer.Exit(report_limit(runs, words, out))
    names = chosen(words)
    if any(map(is_suite_folder, runs)):
        raise typer.Exit(report_suite(runs, names, out))
    require_table(names, table)
    sources = load(runs, names)
    show(sources, names, out, table)
    raise typer.Exit(worst_exit_code({source.found.exit_code for source in sources}))
