"""`chaoskit exec [FILE] -- COMMAND`: runs any command behind a network fault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaoskit.cli.double_dash import after_double_dash
from chaoskit.cli.run import SubstrateName
from chaoskit.terminal import complain

if TYPE_CHECKING:
    from chaoskit.conduct.user_command import Command
    from chaoskit.substrate.selection import SubstrateOptions


def exec(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Experiment file: run in its lab.")] = None,
    down: Annotated[
        str | None, typer.Option(metavar="FAULT", help="On received packets: 'delay 80ms loss 1%'.")
    ] = None,
    up: Annotated[str | None, typer.Option(metavar="FAULT", help="On sent packets; tc's syntax, or YAML's.")] = None,
    fault: Annotated[str | None, typer.Option(metavar="NAME", help="Fault of FILE; baseline for none.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Variant of FILE's matrix.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --down and --up.")] = 0,
    substrate: Annotated[
        SubstrateName, typer.Option(help="Where to build the lab: this kernel, or a guest.")
    ] = SubstrateName.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="User-Mode Linux kernel for the guest.")] = None,
    as_root: Annotated[bool, typer.Option("--as-root", help="With sudo: run as root, not as its caller.")] = False,
) -> None:
    """Run a command behind a network fault. The options end at --; the exit code is the command's."""
    from chaoskit.conduct import sudo_caller
    from chaoskit.conduct.user_command import Command, check_executable
    from chaoskit.errors import SpecError
    from chaoskit.substrate.selection import SubstrateOptions

    argv = after_double_dash(context)
    if not argv:
        raise SpecError(
            "no command given; write it after --: chaoskit exec --down 'delay 80ms' -- curl https://example.com"
        )
    if (file is None) == (down is None and up is None):
        raise SpecError("give either FILE, for its lab, or --down or --up, for this machine's own network")
    if (file is None and (fault or variant or kernel or substrate is not SubstrateName.AUTO)) or (
        file is not None and seed
    ):
        raise SpecError(
            "--fault, --variant, --kernel and --substrate go with FILE, --seed with --down and --up; take them away"
        )
    if refused := check_executable(argv):
        complain(refused[0])
        raise typer.Exit(refused[1])
    command = Command.with_own_environment(argv, sudo_caller.choose(as_root, complain))
    if file is None:
        raise typer.Exit(_outside(down, up, seed, command))
    raise typer.Exit(_lab(file, variant, fault, SubstrateOptions(substrate.value, kernel, "real"), command))


def _outside(down: str | None, up: str | None, seed: int, command: Command) -> int:
    from chaoskit.conduct.exec import on_host_network
    from chaoskit.plan.exec import netem_settings
    from chaoskit.spec.exec import exec_faults

    return on_host_network(netem_settings(exec_faults(down, up, seed)), command, complain)


def _lab(file: Path, variant: str | None, fault: str | None, options: SubstrateOptions, command: Command) -> int:
    from chaoskit.plan.exec import compile_exec
    from chaoskit.spec.matrix import load_variants
    from chaoskit.substrate.exec import in_lab

    return in_lab(compile_exec(load_variants(file).named(variant).experiment, fault), options, command)
