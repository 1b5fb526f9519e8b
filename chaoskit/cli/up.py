"""`chaoskit up FILE`: keeps a lab standing until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def up(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file: keep its lab standing.")],
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Fault of FILE in force; repeatable. Default: none.")
    ] = None,
    publish: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST:PORT[:LOCALPORT]", help="Port to reach from 127.0.0.1; repeatable. Default: the target's."
        ),
    ] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Variant of FILE's matrix.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the hosts' logs in DIR.")] = None,
) -> None:
    """Keep a lab standing until Ctrl-C, and publish its ports.

    They are reached from this machine alone. In this kernel only, as root or in a user namespace; a lab in a guest is
    reached by chaoskit shell and exec.
    """
    from chaoskit.cli.lab import Lab
    from chaoskit.cli.up_command import run

    raise typer.Exit(run(Lab(file, variant, tuple(fault or ())), tuple(publish or ()), out))
