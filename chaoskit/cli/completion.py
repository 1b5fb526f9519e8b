"""Completes the command line in bash, zsh and fish, and installs that.

The scripts and the protocol are typer's. A completer returns nothing where it fails: the shell then offers files.
"""

from __future__ import annotations

import os
from pathlib import Path

import typer
from typer._click import Command

from chaoskit.errors import RefusedError
from chaoskit.terminal import say, say_fields

VARIABLE = "_CHAOSKIT_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def complete(command: Command, instruction: str) -> int:
    """Print what could stand at the cursor, for typer's script of a shell. Returns an exit code, and says no error."""
    from typer._click.shell_completion import get_completion_class
    from typer._completion_classes import completion_init

    completion_init()
    shell = get_completion_class(instruction.removeprefix("complete_"))
    if shell is None:
        return 1
    try:
        say_fields(shell(command, {}, "chaoskit", VARIABLE).complete())
    except SystemExit as end:  # of fish: whether there is anything
        return int(end.code or 0)
    except Exception:  # noqa: BLE001  an error would be printed into the line that is being typed
        return 1
    return 0


def install(is_given: bool) -> None:
    """Of the option --install-completion."""
    if is_given:
        from typer._completion_shared import install as work

        shell, path = work(_shell(), "chaoskit", VARIABLE)
        say(f"{path} completes chaoskit in {shell}, from the next shell on")
        raise typer.Exit


def show(is_given: bool) -> None:
    """Of the option --show-completion."""
    if is_given:
        from typer._completion_shared import get_completion_script

        say(*get_completion_script(prog_name="chaoskit", complete_var=VARIABLE, shell=_shell()).split("\n"))
        raise typer.Exit


def _shell() -> str:
    """The shell that started this command, or else the user's."""
    from typer._completion_shared import _get_shell_name

    known = [name for name in (_get_shell_name(), Path(os.environ.get("SHELL", "")).name) if name in SHELLS]
    if not known:
        raise RefusedError(
            f"only {', '.join(SHELLS)} are supported, and none of them started this: run it in one of them"
        )
    return str(known[0])
