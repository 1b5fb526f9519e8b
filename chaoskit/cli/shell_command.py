"""Runs the shell of `chaoskit shell`: which one, its prompt, and what it says first."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.cli.lab import Lab
from chaoskit.errors import RefusedError
from chaoskit.terminal import complain

if TYPE_CHECKING:
    from chaoskit.conduct.kept_files import FileOptions
    from chaoskit.conduct.sudo_caller import Caller
    from chaoskit.planning.model import Plan
    from chaoskit.substrate.selection import SubstrateOptions

_PLAIN = "sh"


@dataclass(frozen=True)
class Session:
    """The lab, where to build it, and the host or router of it."""

    lab: Lab
    options: SubstrateOptions
    host: str


def run(session: Session, files: FileOptions, choose_caller: Callable[[], Caller | None]) -> int:
    """Run the shell to its end. Returns its exit code. Raises RefusedError without a terminal."""
    from chaoskit.conduct.user_command import Command
    from chaoskit.planning.exec import check_place
    from chaoskit.substrate.exec import Place, in_lab

    plan, announce = session.lab.plan()
    check_place(plan, session.host)
    if not (os.isatty(0) and os.isatty(1)):
        where = f" --host {session.host}" * (session.host != "client")
        raise RefusedError(
            f"a shell needs a terminal; commands from a pipe: chaoskit exec {session.lab.file}{where} -- {_PLAIN}"
        )
    command = Command.with_own_environment((_shell(plan, session.host),), choose_caller())
    command = replace(command, environment=dict(command.environment) | _prompt(session.host))

    def tell(where: str) -> None:
        announce(where)
        complain(f"a shell on {session.host} of {plan.name}; it has {', '.join(plan.topology.nodes)}; exit ends it")

    place = Place(session.host, is_interactive=True)
    return in_lab(plan, session.options, (command, place), files.checked(Path.cwd()), tell)


def _shell(plan: Plan, name: str) -> str:
    """The user's own, where it can be run: not in a root file system of the host's own, which may not have it."""
    from chaoskit.conduct.user_command import check_executable

    has_own_root = any(host.name == name and host.spec.rootfs is not None for host in plan.hosts)
    own = os.environ.get("SHELL", "")
    return own if own and check_executable((own,)) is None and not has_own_root else _PLAIN


def _prompt(name: str) -> dict[str, str]:
    """Variables that put the name of the place before the prompt: for bash after its own files, for others at first."""
    mark = f"({name}) "
    return {"PS1": f"{mark}$ ", "PROMPT_COMMAND": f'PS1="{mark}${{PS1#"{mark}"}}"'}
