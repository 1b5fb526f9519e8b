"""`chaoskit sweep FILE`: runs an experiment at every combination of some values."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.substrate_names import ClockName, SubstrateName


class Kept(StrEnum):
    """What stays of each run."""

    RUNS = "runs"
    RESULTS = "results"


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file (YAML).")],
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=V1,V2,...", help="Values of FILE by their dotted path; may be repeated."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, max=10_000, help="Runs of each combination, each with a seed.")] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of FILE by its dotted path."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder, new or empty. Default: sweeps/NAME-TIME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on in --out: run what failed or did not end, and what is new.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Runs side by side in virtual time. Default: the processors.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Run on the workers of this Dask scheduler.")
    ] = None,
    keep: Annotated[Kept, typer.Option(help="runs: all records of each run; results: its result alone.")] = Kept.RUNS,
    report: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Write reports of the whole into its folder: csv,svg.")
    ] = None,
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
    """Run an experiment at every combination of some values: of its matrix, and of --vary.

    Runs in virtual time share the processors. The table has every metric of each combination over all its repeats. A
    run that fails stops no other, and makes the exit code 5; a broken objective does not.
    """
    from chaoskit.report.sweep_documents import SWEEP_DOCUMENTS
    from chaoskit.spec.overrides import parse_settings, parse_variations
    from chaoskit.substrate.guest_memory import parse as parse_memory
    from chaoskit.substrate.selection import SubstrateOptions
    from chaoskit.sweep.start import SweepOptions, run_sweep

    values, varied = parse_settings(set_ or []), parse_variations(vary or [])
    where = SubstrateOptions(substrate.value, kernel, clock.value, parse_memory(guest_memory))
    reports = SWEEP_DOCUMENTS.chosen(report.split(",")) if report else ()
    options = SweepOptions(where, values, varied, repeats, out, resume, jobs, keep.value, quiet, reports, dask)
    raise typer.Exit(run_sweep(file, options))
