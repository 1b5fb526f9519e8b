"""`chaoskit up FILE`: keeps a lab standing until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.substrate_names import SubstrateName


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
    substrate: Annotated[
        SubstrateName, typer.Option(help="Where to build the lab: this kernel, or a User-Mode Linux guest.")
    ] = SubstrateName.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="User-Mode Linux kernel for the guest.")] = None,
    guest_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of the guest. Default: 512MiB.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when it stands.")] = False,
) -> None:
    """Keep a lab standing until Ctrl-C, and publish its ports. They are reached from this machine alone.

    It is in this kernel, as root or in a user namespace, or in a guest, and in real time.
    """
    from chaoskit.cli.lab import Lab
    from chaoskit.cli.up_command import run
    from chaoskit.substrate.guest_memory import parse as parse_memory
    from chaoskit.substrate.selection import SubstrateOptions

    options = SubstrateOptions(substrate.value, kernel, "real", parse_memory(guest_memory))
    raise typer.Exit(run(Lab(file, variant, tuple(fault or ())), tuple(publish or ()), out, options, json))
