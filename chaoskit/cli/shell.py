"""`chaoskit shell FILE`: opens a shell in a lab, to look around."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.substrate_names import SubstrateName


def shell(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Experiment file: open its lab.")],
    host: Annotated[
        str, typer.Option(metavar="NAME", help="Where in the lab: a host or a router.", show_default=True)
    ] = "client",
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Fault of FILE in force; repeatable. Default: none.")
    ] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Variant of FILE's matrix.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy changed files and the hosts' logs to DIR.")
    ] = None,
    writable: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Directory of yours to be written itself; repeatable.")
    ] = None,
    substrate: Annotated[
        SubstrateName, typer.Option(help="Where to build the lab: this kernel, or a User-Mode Linux guest.")
    ] = SubstrateName.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="User-Mode Linux kernel for the guest.")] = None,
    guest_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of the guest. Default: 512MiB.")
    ] = None,
    as_root: Annotated[bool, typer.Option("--as-root", help="With sudo: run as root, not as its caller.")] = False,
) -> None:
    """Open a shell in a lab: $SHELL, in real time. On a host it has the files, processes and rights of its program."""
    from chaoskit.cli.lab import Lab
    from chaoskit.cli.shell_command import Session, run
    from chaoskit.conduct import sudo_caller
    from chaoskit.conduct.kept_files import FileOptions
    from chaoskit.substrate.guest_memory import parse as parse_memory
    from chaoskit.substrate.selection import SubstrateOptions
    from chaoskit.terminal import complain

    options = SubstrateOptions(substrate.value, kernel, "real", parse_memory(guest_memory))
    session = Session(Lab(file, variant, tuple(fault or ())), options, host)
    files = FileOptions(out, tuple(writable or ()))
    raise typer.Exit(run(session, files, lambda: sudo_caller.choose(as_root, complain)))
