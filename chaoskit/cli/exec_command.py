"""Checks the options of `chaoskit exec`, and runs its command as they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.cli.lab import Lab
from chaoskit.errors import SpecError
from chaoskit.terminal import complain

if TYPE_CHECKING:
    from chaoskit.conduct.kept_files import FileOptions
    from chaoskit.conduct.user_command import Command
    from chaoskit.substrate.selection import SubstrateOptions

_FAULT, _COMMAND = "--down 'delay 80ms'", "curl https://example.com"
_OF_GUESTS = "--kernel, --guest-memory, --substrate uml and --clock virtual"


def check_options(
    argv: tuple[str, ...],
    file: Path | None,
    on_host: Mapping[str, object],
    in_file: Mapping[str, object],
    options: SubstrateOptions,
) -> None:
    """Raise SpecError for options that do not go together, with the one to remove."""
    if not argv:
        raise SpecError(f"no command given; write it after --: chaoskit exec {file or _FAULT} -- {_COMMAND}")
    has_fault = on_host["--down"] is not None or on_host["--up"] is not None
    if (file is None) != has_fault:
        why = "" if file is not None or not any(in_file.values()) else "--fault and --variant go with FILE: "
        raise SpecError(f"{why}give either FILE, for its lab, or --down or --up, for this machine's own network")
    if misplaced := [name for name, value in (in_file if file is None else on_host).items() if value]:
        to = "FILE, whose lab it is about" if file is None else "--down and --up, and FILE has a seed of its own"
        raise SpecError(f"{misplaced[0]} goes with {to}; remove it")
    if file is None and (options.kernel or options.memory or options.substrate == "uml" or options.clock == "virtual"):
        about = "--down and --up are faults on this machine's own network, which a guest does not have"
        raise SpecError(f"{about}: remove {_OF_GUESTS}, or give FILE, for its lab")


def on_host_network(down: str | None, up: str | None, seed: int, command: Command, files: FileOptions) -> int:
    """Run it with these faults on everything that it sends and receives. Returns its exit code."""
    from chaoskit.conduct import exec, kept_files
    from chaoskit.planning.exec import netem_settings
    from chaoskit.spec.exec import exec_faults

    netems = netem_settings(exec_faults(down, up, seed))
    return kept_files.here(command, files, lambda workspace: exec.on_host_network(netems, command, complain, workspace))


def in_lab(lab: Lab, options: SubstrateOptions, errand: tuple[Command, str], files: FileOptions) -> int:
    """Run it at a place of a lab. Returns its exit code."""
    from chaoskit.planning.exec import check_place
    from chaoskit.substrate.exec import Place
    from chaoskit.substrate.exec import in_lab as run

    plan, announce = lab.plan()
    command, place = errand
    check_place(plan, place)
    return run(plan, options, (command, Place(place)), files, announce)
