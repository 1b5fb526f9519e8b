"""Says what to do with words that a command does not take."""

from __future__ import annotations

import re

from typer._click.core import Context  # it has no public name
from typer.core import TyperArgument

_SHAPES = (
    (re.compile(r":?([0-9]{1,5})"), "--port"),
    (re.compile(r"([0-9.]+(?:ms|s|m|min|h))"), "--for"),
    (re.compile(r"(.*\.tar(?:\.\w+)?)"), "--source"),
    (re.compile(r"(?:fault=)?([a-z][a-z0-9-]*)"), "--fault"),
    (re.compile(r"(?:variant=)?([a-z][a-z0-9-]*)"), "--variant"),
)
"""What a word too many looks like, and the option whose value that is."""


def too_many(ctx: Context, left: list[str], has_dashes: bool) -> str:
    """What is wrong with words that the command does not take."""
    names = " ".join(each.display_name_raw for each in ctx.command.params if isinstance(each, TyperArgument))
    if has_dashes:
        return f"{ctx.command_path} runs no command after --; this does: chaoskit exec --down 'delay 80ms' -- COMMAND"
    options = [name for each in ctx.command.params for name in each.opts]
    for shape, option in _SHAPES:
        if len(left) == 1 and option in options and (found := shape.fullmatch(left[0])):
            host = f"--host {found[1]} or " * (option == "--fault" and ctx.info_name == "shell")
            return f"{left[0]!r} is one word too many; did you mean {host}{option} {found[1]}?"
    return f"{left[0]!r} is one word too many; {ctx.command_path} takes {names or 'options only'}"
