"""`chaoskit run FILE`: runs an experiment and gives its verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.history_option import HistoryOption
from chaoskit.cli.substrate_names import ClockName, SubstrateName


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file (YAML).")],
    out: Annotated[Path | None, typer.Option(help="Run directory, new or empty. Default: runs/NAME-TIME.")] = None,
    substrate: Annotated[
        SubstrateName, typer.Option(help="Where to run: this kernel, or a User-Mode Linux guest.")
    ] = SubstrateName.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="User-Mode Linux kernel for the guest.")] = None,
    guest_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of the guest. Default: 512MiB.")
    ] = None,
    clock: Annotated[
        ClockName, typer.Option(help="virtual: waits take no real time, delays are exact.")
    ] = ClockName.AUTO,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Variants side by side in virtual time. Default: the processors."),
    ] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Run only this variant of the matrix.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of FILE by its dotted path."),
    ] = None,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help="Repeat the timeline until every objective is met or broken.")
    ] = False,
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="End --until-decided after this time. Default: 10m.")
    ] = None,
    verify_repeatable: Annotated[
        bool, typer.Option("--verify-repeatable", help="Run twice and compare every byte.")
    ] = False,
    report: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Write reports into the run directory: html,junit.")
    ] = None,
    history: HistoryOption = None,
) -> None:
    """Run an experiment and print its verdict. The run directory keeps all records.

    If FILE has a matrix, every variant runs, each in its own run directory below one. In virtual time they share the
    processors.
    """
    from chaoskit.errors import SpecError
    from chaoskit.execution.options import RunOptions
    from chaoskit.execution.series import SeriesOptions, run_series
    from chaoskit.execution.single import run_single
    from chaoskit.report.formats import chosen
    from chaoskit.spec.matrix import load_variants
    from chaoskit.spec.options import time_until_decided
    from chaoskit.spec.overrides import parse_settings
    from chaoskit.substrate.guest_memory import parse as parse_memory
    from chaoskit.substrate.selection import SubstrateOptions

    reports = chosen(report.split(",")) if report else ()
    settings = parse_settings(set_ or [])
    loaded = load_variants(file, settings)
    where = SubstrateOptions(substrate.value, kernel, clock.value, parse_memory(guest_memory))
    most = time_until_decided(until_decided, max_time)
    options = RunOptions.of(loaded, where, out, most, verify_repeatable, reports, history)
    if loaded.axes and variant is None:
        raise typer.Exit(run_series(loaded, SeriesOptions(options, settings, jobs)))
    if jobs is not None:
        raise SpecError("--jobs: a single run is on one processor; remove --jobs")
    raise typer.Exit(run_single(loaded.named(variant), options))
