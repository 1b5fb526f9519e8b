"""`chaoskit exec [FILE] -- COMMAND`: runs any command behind a network fault."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.double_dash import after_double_dash
from chaoskit.cli.substrate_names import SubstrateName
from chaoskit.terminal import complain


class CommandClock(StrEnum):
    """The clocks of a command. Virtual time is used only on request, because a command may wait for the real world."""

    REAL = "real"
    VIRTUAL = "virtual"


def exec(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Experiment file: run in its lab.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Fault of FILE in force; repeatable. Default: none.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where in the lab: a host or a router. Default: client.")
    ] = None,
    down: Annotated[
        str | None, typer.Option(metavar="FAULT", help="On received packets: 'delay 80ms loss 1%'.")
    ] = None,
    up: Annotated[str | None, typer.Option(metavar="FAULT", help="On sent packets; tc's syntax, or YAML's.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Variant of FILE's matrix.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of --down and --up.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy files that change in the working directory to DIR.")
    ] = None,
    writable: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Directory of yours to be written itself; repeatable.")
    ] = None,
    substrate: Annotated[
        SubstrateName, typer.Option(help="Where to build the lab: this kernel, or a User-Mode Linux guest.")
    ] = SubstrateName.AUTO,
    clock: Annotated[
        CommandClock, typer.Option(help="virtual: in a guest, waits take no real time.")
    ] = CommandClock.REAL,
    kernel: Annotated[Path | None, typer.Option(help="User-Mode Linux kernel for the guest.")] = None,
    guest_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of the guest. Default: 512MiB.")
    ] = None,
    as_root: Annotated[bool, typer.Option("--as-root", help="With sudo: run as root, not as its caller.")] = False,
) -> None:
    """Run a command behind a network fault. The options end at --; the exit code is the command's."""
    from chaoskit.cli.exec_command import check_options, in_lab, on_host_network
    from chaoskit.cli.lab import Lab
    from chaoskit.conduct import sudo_caller
    from chaoskit.conduct.kept_files import FileOptions
    from chaoskit.conduct.user_command import Command, check_executable
    from chaoskit.substrate.guest_memory import parse as parse_memory
    from chaoskit.substrate.selection import SubstrateOptions
    from chaoskit.topology.lab import CLIENT

    argv, faults = after_double_dash(context), tuple(fault or ())
    options = SubstrateOptions(substrate.value, kernel, clock.value, parse_memory(guest_memory))
    on_host = {"--down": down, "--up": up, "--seed": seed}
    check_options(argv, file, on_host, {"--fault": faults, "--variant": variant, "--host": host}, options)
    if host is None and (refused := check_executable(argv)):
        complain(refused[0])
        raise typer.Exit(refused[1])
    files = FileOptions(out, tuple(writable or ())).checked(Path.cwd())
    command = Command.with_own_environment(argv, sudo_caller.choose(as_root, complain))
    if file is None:
        raise typer.Exit(on_host_network(down, up, seed, command, files))
    raise typer.Exit(in_lab(Lab(file, variant, faults), options, (command, host or CLIENT), files))
