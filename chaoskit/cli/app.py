"""Assembles the command line from one module per command, which imports its work when called."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from chaoskit import __version__
from chaoskit.cli.command import Command
from chaoskit.cli.completion import install, show
from chaoskit.cli.conduct import conduct
from chaoskit.cli.doctor import doctor
from chaoskit.cli.double_dash import CommandWithDoubleDash
from chaoskit.cli.exec import exec
from chaoskit.cli.exit_codes import EXIT_CODES
from chaoskit.cli.explain import explain
from chaoskit.cli.gameday import gameday
from chaoskit.cli.group import Group
from chaoskit.cli.init import init
from chaoskit.cli.inject import inject
from chaoskit.cli.kernel import app as kernel
from chaoskit.cli.plan import plan
from chaoskit.cli.pmtu import pmtu
from chaoskit.cli.probe import probe
from chaoskit.cli.report import report
from chaoskit.cli.restore import restore
from chaoskit.cli.run import run
from chaoskit.cli.schema import schema
from chaoskit.cli.serve import serve
from chaoskit.cli.shell import shell
from chaoskit.cli.status import status
from chaoskit.cli.up import up
from chaoskit.cli.validate import validate
from chaoskit.terminal import say

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
for one in (init, run, gameday, plan, validate, schema, report, explain):
    app.command(cls=Command)(one)
for other in (probe, pmtu, serve, doctor, inject, status, restore, shell, up):
    app.command(cls=Command)(other)
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
