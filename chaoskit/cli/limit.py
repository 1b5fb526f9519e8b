"""`chaoskit limit FILE`: finds the largest dose at which the objectives of an experiment hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.substrate_names import ClockName, SubstrateName


def limit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file (YAML).")],
    vary: Annotated[
        list[str],
        typer.Option(metavar="PATH", help="Dotted path of the dose. Others as PATH=V1,V2: a limit at each value."),
    ],
    from_: Annotated[str, typer.Option("--from", metavar="DOSE", help="Easy end of the range, such as 0%.")],
    to: Annotated[str, typer.Option("--to", metavar="DOSE", help="Hard end of the range, such as 20%.")],
    precision: Annotated[
        str, typer.Option(metavar="SHARE", help="Width of the limit's 95 % interval, of the range.")
    ] = "5%",
    at_least: Annotated[
        str | None, typer.Option(metavar="DOSE", help="Gate: 0 if the limit is there or harder, 1 if not, 5 if unsure.")
    ] = None,
    max_runs: Annotated[int, typer.Option(min=1, max=10_000, help="Most runs of a search.")] = 40,
    max_time: Annotated[str | None, typer.Option(metavar="TIME", help="Begin no run that would end later.")] = None,
    max_requests: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Begin no run that would send more in all.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of FILE by its dotted path."),
    ] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="The variant of a matrix.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder, new or empty. Default: limits/NAME-TIME.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in --out: run what failed or did not end.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=64, help="Runs side by side in virtual time. Default: the processors.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Run on the workers of this Dask scheduler.")
    ] = None,
    format: Annotated[
        str, typer.Option(metavar="NAME", help="console, json, markdown, junit, svg or png.")
    ] = "console",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only the result.")] = False,
    substrate: Annotated[
        SubstrateName, typer.Option(help="Where labs run: this kernel, or User-Mode Linux guests.")
    ] = SubstrateName.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="User-Mode Linux kernel for the guests.")] = None,
    clock: Annotated[
        ClockName, typer.Option(help="virtual: waits take no real time, and labs run side by side.")
    ] = ClockName.AUTO,
) -> None:
    """Find the hardest dose of a fault at which the objectives of an experiment still hold, with its interval.

    Each run tells where the next one is worth most. At the limit one run in two holds. The exit code is 1 where --from
    is broken already, and 5 where the limit is not known as precisely as asked.
    """
    from chaoskit.limit.limit_command import LimitOptions, run_limit
    from chaoskit.limit.limit_options import asked_of, budget_of
    from chaoskit.substrate.selection import SubstrateOptions

    asked = asked_of(file, vary, (from_, to), precision, set_ or [], variant, at_least)
    budget = budget_of(max_runs, max_time, max_requests)
    where = SubstrateOptions(substrate.value, kernel, clock.value)
    raise typer.Exit(run_limit(asked, LimitOptions(where, budget, out, resume, jobs, format, quiet, dask)))
