"""Defines a command with commands below it: it names the nearest one for a word that is none."""

from __future__ import annotations

from typer._click import Command
from typer._click.core import Context
from typer._click.exceptions import UsageError
from typer.core import TyperGroup

from chaoskit.cli.nearest import near_in_spelling

_MEANINGS = {
    "run": "test start execute experiment gate go",
    "validate": "check lint verify",
    "probe": "bench benchmark load measure attack ping curl hey k6 vegeta",
    "status": "list ls ps leases show",
    "restore": "stop undo clean cleanup rollback revert reset rm del heal recover",
    "serve": "server mock listen",
    "shell": "sh bash console ssh attach enter",
    "up": "start-lab compose keep forward publish",
    "inject": "add toxic tc netem set fault chaos impair",
    "init": "new create generate scaffold example examples",
    "compare": "diff versus vs regression ab",
    "report": "results result analyze analyse summary",
    "limit": "threshold tolerance bisect max maximum breaking-point",
    "history": "trend trends log regressions flaky past",
    "pmtu": "mtu traceroute tracepath path-mtu",
    "plan": "dry-run preview",
    "explain": "why blame story tell trace",
    "doctor": "diagnose info",
    "build": "install make compile",
    "remove": "delete rm clean uninstall",
}
"""What other tools call a command."""


class Group(TyperGroup):
    """A command with commands below it."""

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """That one. Raises UsageError with the nearest when there is none."""
        found = super().get_command(ctx, cmd_name)
        if found is None and not ctx.resilient_parsing and not cmd_name.startswith("-"):
            visible = [name for name, each in self.commands.items() if not each.hidden]
            raise UsageError(f"{cmd_name!r} is no command of {ctx.command_path}; {_hint(ctx, cmd_name, visible)}", ctx)
        return found


def _hint(ctx: Context, word: str, commands: list[str]) -> str:
    """What was probably meant."""
    if "run" in commands and (word.endswith((".yaml", ".yml")) or "://" in word):
        return f"write chaoskit {'probe' if '://' in word else 'run'} {word}"
    if word == "help":
        return f"write {ctx.command_path} --help, or {ctx.command_path} COMMAND --help"
    if own := [name for each in ctx.command.params for name in each.opts if word in name[2:].split("-")]:
        return f"write {' or '.join(f'{ctx.command_path} {name}' for name in own)}"
    meant = [name for name in commands if word in _MEANINGS.get(name, "").split()]
    near = meant or near_in_spelling(word, commands)
    return f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(commands)}"
