"""`chaoskit report RUNDIR...`: shows the results of runs, computed from their records, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.report.formats import FORMATS, chosen, format_of


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUNDIR", help="Run directory, or that of a matrix, suite, sweep or limit.")
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
    from chaoskit.analysis.matrix import worst_exit_code
    from chaoskit.cli.report_output import load, show
    from chaoskit.report.formats.table_places import require_table
    from chaoskit.report.limit_documents import LIMIT_DOCUMENTS
    from chaoskit.report.suite_documents import SUITE_DOCUMENTS
    from chaoskit.report.sweep_documents import SWEEP_DOCUMENTS

    words = format.split(",") if format else [format_of(out.name if out else "")]
    for documents in (SWEEP_DOCUMENTS, LIMIT_DOCUMENTS, SUITE_DOCUMENTS):
        if any(map(documents.is_folder, runs)):
            raise typer.Exit(documents.report(runs, words, out))
    names = chosen(words)
    require_table(names, table)
    sources = load(runs, names)
    show(sources, names, out, table)
    raise typer.Exit(worst_exit_code({source.found.exit_code for source in sources}))
