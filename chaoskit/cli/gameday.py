"""`chaoskit gameday FILE`: runs a suite of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.history_option import HistoryOption
from chaoskit.cli.substrate_names import ClockName, SubstrateName


def gameday(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Suite file (YAML).")],
    out: Annotated[Path | None, typer.Option(help="Folder, new or empty. Default: gamedays/NAME-TIME.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on in --out, or in the latest folder: run what has no verdict yet.")
    ] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Run only this one; may be repeated.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=64, help="Runs side by side in virtual time. Default: the processors.")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT", help="Run what is in virtual time on the workers of this Dask scheduler."
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would run and for how long. Runs nothing.")] = False,
    report: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Write reports of the suite and of each run: markdown,junit.")
    ] = None,
    history: HistoryOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only the result.")] = False,
    substrate: Annotated[
        SubstrateName, typer.Option(help="Where labs run: this kernel, or User-Mode Linux guests.")
    ] = SubstrateName.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="User-Mode Linux kernel for the guests.")] = None,
    guest_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of each guest. Default: 512MiB.")
    ] = None,
    clock: Annotated[
        ClockName, typer.Option(help="virtual: waits take no real time, and labs run side by side.")
    ] = ClockName.AUTO,
) -> None:
    """Run a suite of experiments, and print one verdict. Its folder has a run directory for each.

    Runs in virtual time share the processors; on real interfaces one runs at a time. The exit code is the worst, by
    what the suite expects of each run.
    """
    from chaoskit.gameday.command import GamedayOptions, place_of, run_gameday
    from chaoskit.gameday.planned import show_plan
    from chaoskit.report.formats import chosen
    from chaoskit.spec.suite_load import load_suite
    from chaoskit.substrate.guest_memory import parse as parse_memory
    from chaoskit.substrate.selection import SubstrateOptions

    reports = chosen(report.split(",")) if report else ()
    loaded = load_suite(file)
    where = SubstrateOptions(substrate.value, kernel, clock.value, parse_memory(guest_memory))
    runs = loaded.only(only or [])
    if plan:
        show_plan(loaded, runs, place_of(where))
        return
    options = GamedayOptions(where, out, resume, jobs, quiet, reports, history, dask)
    raise typer.Exit(run_gameday(loaded, runs, options))
