"""Defines a command with commands below it: it names the nearest one for a word that is none."""

from __future__ import annotations

from difflib import get_close_matches

from typer._click import Command
from typer._click.core import Context
from typer._click.exceptions import UsageError
from typer.core import TyperGroup


class Group(TyperGroup):
    """A command with commands below it."""

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """That one. Raises UsageError with the nearest when there is none."""
        found = super().get_command(ctx, cmd_name)
        if found is None and not ctx.resilient_parsing and not cmd_name.startswith("-"):
            visible = [name for name, each in self.commands.items() if not each.hidden]
            near = " or ".join(get_close_matches(cmd_name, visible, 2))
            hint = f"did you mean {near}?" if near else f"expected one of {', '.join(visible)}"
            raise UsageError(f"{cmd_name!r} is no command of {ctx.command_path}; {hint}", ctx)
        return found
