"""`chaoskit run FILE`: from an experiment to a verdict."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Where(StrEnum):
    """The substrates, and the choice between them."""

    AUTO = "auto"
    HERE = "here"
    UML = "uml"


class Time(StrEnum):
    """The clocks, and the choice between them."""

    AUTO = "auto"
    REAL = "real"
    VIRTUAL = "virtual"


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An experiment file.")],
    out: Annotated[Path | None, typer.Option(help="The run directory, new or empty. Default: runs/NAME-TIME.")] = None,
    substrate: Annotated[Where, typer.Option(help="Where: this kernel, or a User-Mode Linux guest.")] = Where.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="The User-Mode Linux kernel to boot.")] = None,
    clock: Annotated[Time, typer.Option(help="virtual: waiting costs nothing, and delays are exact.")] = Time.AUTO,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Of FILE's matrix only this one.")] = None,
    verify_repeatable: Annotated[bool, typer.Option(help="Run twice, and compare every byte.")] = False,
) -> None:
    """Run an experiment and give its verdict. The run directory keeps everything that was seen.

    Of a FILE with a matrix every variant is run, each in a run directory of its own below one.
    """
    from chaoskit.cli.run_matrix import series
    from chaoskit.cli.run_one import RunOptions, single
    from chaoskit.clock import wall
    from chaoskit.spec.matrix import load_variants
    from chaoskit.substrate.selection import SubstrateOptions

    told = load_variants(file)
    stamp = wall().replace(":", "").replace("-", "").removesuffix("+0000")
    directory = out or Path("runs") / f"{told.each[0].experiment.name}-{stamp}"
    order = RunOptions(SubstrateOptions(substrate.value, kernel, clock.value), directory, verify_repeatable)
    if told.axes and variant is None:
        raise typer.Exit(series(told, order))
    raise typer.Exit(single(told.named(variant), order))
