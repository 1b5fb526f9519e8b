"""Refuses options whose value is missing although something follows them."""

from __future__ import annotations

from itertools import pairwise

from typer._click.core import Context
from typer._click.exceptions import UsageError  # they have no public names

from chaoskit.cli.help_rows import value_name


def refuse_missing_values(ctx: Context, args: list[str]) -> None:
    """Raise UsageError where nothing, or only --, follows an option that takes a value."""
    valued = {name: each for each in ctx.command.params if not getattr(each, "is_flag", True) for name in each.opts}
    for word, after in pairwise((*args, "")):
        if word == "--":
            return
        option, equals, value = word.partition("=")
        if option in valued and equals and not value:
            raise UsageError(f"{option} has no value; write {option} {value_name(valued[option])}", ctx)
        if word in valued and after == "--":
            raise UsageError(f"{word} has no value; write it before --: {word} {value_name(valued[word])}", ctx)
