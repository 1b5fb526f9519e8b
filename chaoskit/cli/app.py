"""Assembles the command line."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from chaoskit import __version__
from chaoskit.cli.command import Command
from chaoskit.cli.command_list import COMMANDS
from chaoskit.cli.compare import compare
from chaoskit.cli.completion import install, show
from chaoskit.cli.conduct import conduct
from chaoskit.cli.double_dash import CommandWithDoubleDash
from chaoskit.cli.exec import exec
from chaoskit.cli.group import Group
from chaoskit.cli.kernel import app as kernel
from chaoskit.cli.several_values import CommandWithSeveralValues
from chaoskit.terminal import say

EXIT_CODES = """Exit codes: 0 objectives met, or none given; 1 an objective not met; 2 invalid file or options; 3
nothing could be measured, or this machine cannot do it; 4 changes not restored; 5 undecided; 70 a mistake in chaoskit;
130 and 143 interrupted."""

app = typer.Typer(
    help="Transport chaos testing for token streams: measure how an AI service behaves under real network faults.",
    epilog=EXIT_CODES,
    cls=Group,
    suggest_commands=False,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for one in COMMANDS:
    app.command(cls=Command)(one)
app.command(cls=CommandWithSeveralValues)(compare)
app.command(cls=CommandWithDoubleDash)(exec)
app.command(cls=Command, hidden=True)(conduct)
app.add_typer(kernel, name="kernel")


def _version(is_given: bool) -> None:
    if is_given:
        say(f"chaoskit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    _is_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    _installs: Annotated[
        bool, typer.Option("--install-completion", callback=install, is_eager=True, help="Complete in this shell.")
    ] = False,
    _shows: Annotated[
        bool, typer.Option("--show-completion", callback=show, is_eager=True, help="Print the script for it.")
    ] = False,
) -> None:
    if context.invoked_subcommand not in ("exec", "serve", "shell"):  # whose commands and files get the user's own
        os.umask(0o022)  # other users may read what is written, and not change it
