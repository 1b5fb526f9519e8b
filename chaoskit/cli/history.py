"""`chaoskit history [NAME]`: shows how results changed over many runs, and adds older ones."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a history can be shown."""

    CONSOLE = "console"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


class FailOn(StrEnum):
    """What ends with exit code 1."""

    REGRESSION = "regression"
    FLAKY = "flaky"


class Despite(StrEnum):
    """What may differ between runs of one series."""

    EXPERIMENT = "experiment"


def history(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="NAME | add RUNDIR", help="An experiment; or runs to add.")
    ] = None,
    history: Annotated[
        Path, typer.Option("--history", metavar="DIR|FILE", help="The history: a file, or its directory.")
    ] = Path("runs"),
    metric: Annotated[
        list[str] | None, typer.Option(metavar="METRIC", help="Repeatable. Default: those of the objectives.")
    ] = None,
    phase: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this phase.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Only this variant of a matrix.")] = None,
    branch: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this branch.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only runs since a date, an age such as 14d, or a commit.")
    ] = None,
    despite: Annotated[
        list[Despite] | None, typer.Option(metavar="experiment", help="One series although the file changed.")
    ] = None,
    fail_on: Annotated[
        list[FailOn] | None, typer.Option(metavar="regression|flaky", help="Exit with 1 if there is one. Repeatable.")
    ] = None,
    tolerance: Annotated[
        str, typer.Option(metavar="SHARE", help="A change to the worse by less is no regression.")
    ] = "0%",
    format: Annotated[Format, typer.Option(help="csv has a line for each value of each run.")] = Format.CONSOLE,
) -> None:
    """Show how results changed over many runs. Trends, change points, verdicts that flap.

    run, gameday and probe write the history with --history; `history add RUNDIR...` takes runs that were made before.
    """
    from chaoskit.cli.history_views import Judged, add_runs, show
    from chaoskit.errors import SpecError
    from chaoskit.history.file import history_file
    from chaoskit.history.reading import Selection

    names, path = words or [], history_file(history)
    if names[:1] == ["add"] and len(names) > 1:
        return add_runs(path, [Path(each) for each in names[1:]])
    if len(names) > 1:
        raise SpecError(f"{names[1]!r} is one word too many; write one NAME, or add before run directories")
    name = names[0] if names else None
    chosen = Selection(name, variant, tuple(metric or ()), phase, since, branch, bool(despite))
    raise typer.Exit(show(path, chosen, Judged(frozenset(fail_on or ()), tolerance, format.value)))
