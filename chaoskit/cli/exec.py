"""`chaoskit exec [FILE] -- COMMAND`: any client, behind a fault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaoskit.cli.double_dash import after_the_dashes
from chaoskit.cli.run import Where
from chaoskit.terminal import complain

if TYPE_CHECKING:
    from chaoskit.conduct.user_command import Command
    from chaoskit.substrate.selection import SubstrateOptions


def exec(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="An experiment file: run in its lab.")] = None,
    down: Annotated[str | None, typer.Option(metavar="FAULT", help="On what it gets: 'delay 80ms loss 1%'.")] = None,
    up: Annotated[str | None, typer.Option(metavar="FAULT", help="On what it sends; tc's words, or YAML's.")] = None,
    fault: Annotated[str | None, typer.Option(metavar="NAME", help="Of FILE's faults; baseline: none.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="Of FILE's matrix, if it has one.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the fault's chance, without FILE.")] = 0,
    substrate: Annotated[Where, typer.Option(help="Where a lab is built: this kernel, or a guest.")] = Where.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="The User-Mode Linux kernel to boot.")] = None,
    as_root: Annotated[bool, typer.Option("--as-root", help="Under sudo: run it as root, not as its caller.")] = False,
) -> None:
    """Run a command behind a fault. Its exit code is ours; end our own words with -- before it."""
    from chaoskit.conduct import sudo_caller
    from chaoskit.conduct.user_command import Command, check_executable
    from chaoskit.errors import SpecError
    from chaoskit.substrate.selection import SubstrateOptions

    argv = after_the_dashes(context)
    if not argv:
        raise SpecError("say which command, after --: chaoskit exec --down 'delay 80ms' -- curl https://example.com")
    if (file is None) == (down is None and up is None):
        raise SpecError("give either FILE, for its lab, or --down and --up, for the way out of this machine")
    if (file is None and (fault or variant or kernel or substrate is not Where.AUTO)) or (file is not None and seed):
        raise SpecError(
            "--fault, --variant, --kernel, --substrate go with FILE, --seed with --down, --up; take them away"
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


def _lab(file: Path, variant: str | None, fault: str | None, wish: SubstrateOptions, command: Command) -> int:
    from chaoskit.plan.exec import compile_exec
    from chaoskit.spec.matrix import load_variants
    from chaoskit.substrate.exec import in_lab

    return in_lab(compile_exec(load_variants(file).named(variant).experiment, fault), wish, command)
