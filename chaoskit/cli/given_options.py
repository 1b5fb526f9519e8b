"""Finds the options that were typed, as against those that have their defaults."""

from __future__ import annotations

from collections.abc import Container

from typer._click.core import Context, ParameterSource


def given_options(context: Context, but: Container[str] = ()) -> list[str]:
    """Those that stand on the command line, in the order of the help; without these."""
    typed = ParameterSource.COMMANDLINE
    given = (each for each in context.command.params if context.get_parameter_source(each.name or "") is typed)
    return [each.opts[0] for each in given if each.opts[0] not in but]
