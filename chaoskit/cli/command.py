"""Defines what all commands have in common: help, refused extra words, advice that fits."""

from __future__ import annotations

import os
from typing import Any

from typer._click.core import Context
from typer._click.exceptions import UsageError  # they have no public names
from typer._click.formatting import HelpFormatter
from typer.core import TyperCommand

from chaoskit.cli.advice import fitting
from chaoskit.cli.completers import COMPLETERS, complete_value
from chaoskit.cli.file_completers import WORDS
from chaoskit.cli.help_rows import rows
from chaoskit.cli.missing_values import refuse_missing_values
from chaoskit.cli.superfluous_words import too_many
from chaoskit.cli.unquoted import refuse_unquoted
from chaoskit.errors import ChaoskitError
from chaoskit.programs import typed_by


class Command(TyperCommand):
    """A command: a word too many is told with what to write instead, as is everything else in `cli.usage`."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        for each in self.params:
            if each.name in COMPLETERS:
                each._custom_shell_complete = complete_value

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse, and refuse what is left."""
        if not ctx.resilient_parsing:
            refuse_missing_values(ctx, args)
            refuse_unquoted(ctx, args, self.valued, self.with_dashes)
        ctx.allow_extra_args = True
        has_dashes, ctx.meta[WORDS] = "--" in args, list(args)
        try:
            left = super().parse_args(ctx, args)
        except UsageError as error:
            error.ctx, error.cmd = error.ctx or ctx, error.cmd or self
            raise
        if left and not ctx.resilient_parsing:
            raise UsageError(too_many(ctx, left, has_dashes), ctx)
        return left

    @property
    def valued(self) -> set[str]:
        """Its options that take a value."""
        return {name for each in self.params if not getattr(each, "is_flag", True) for name in each.opts}

    def with_dashes(self, words: list[str]) -> list[str]:
        """The words, with the -- that is missing among them."""
        return words

    def invoke(self, ctx: Context) -> object:
        """Run it. An error's advice names only options of this command."""
        try:
            return super().invoke(ctx)
        except ChaoskitError as error:
            if not self.hidden:  # such a command is started by another one
                said = fitting(str(error), {name for each in self.params for name in each.opts})
                error.args = (typed_by(os.geteuid(), said),)
            raise

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """`[OPTIONS] FILE`: in brackets what may be left out."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """The arguments, then the options, each with what it takes, its default and its bounds."""
        for title, found in rows(self.get_params(ctx)).items():
            with formatter.section(title):
                formatter.write_dl(found)
