"""`chaoskit compare RUNDIR RUNDIR...`: compares runs, and says what regressed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a comparison can be shown."""

    CONSOLE = "console"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"


def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUNDIR", help="Run directories; the first is the reference.")
    ] = None,
    baseline: Annotated[
        list[Path] | None, typer.Option(metavar="RUNDIR...", help="Runs of the reference, pooled.")
    ] = None,
    candidate: Annotated[
        list[Path] | None, typer.Option(metavar="RUNDIR...", help="Runs to compare with it, pooled.")
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(metavar="[METRIC=]AMOUNT", help="How much worse is no regression: 5%, ttft_p95=50ms; repeatable."),
    ] = None,
    despite: Annotated[
        str | None, typer.Option(metavar="WHAT,...", help="Compare although this differs: experiment, kernel, ...")
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="markdown is for a pull request, junit for CI. Default: by FILE's ending, or console."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it there; - is standard output.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Compare runs: every metric of each phase side by side, with the interval of its change.

    Exit 0: no regression; 1: something regressed; 5: undecided, what would decide it is said.
    """
    from chaoskit.analysis.run_comparison.compare import compare_runs
    from chaoskit.analysis.run_comparison.request import request
    from chaoskit.report.run_comparison.progress import ReadingProgress
    from chaoskit.report.run_comparison.writing import chosen, show

    asked = request(runs or [], baseline or [], candidate or [], tolerance or [], despite)
    name = chosen(format, out)
    with ReadingProgress(quiet) as progress:
        found = compare_runs(asked, progress.tell)
    show(found, name, out)
    raise typer.Exit(found.exit_code)
