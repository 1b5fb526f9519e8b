"""Splits a command line at `--`: chaoskit's own options before it, the user's command after it."""

from __future__ import annotations

import shlex

import typer
from typer._click.core import Context
from typer._click.exceptions import UsageError

from chaoskit.cli.command import Command
from chaoskit.cli.file_completers import AFTER_DASHES
from chaoskit.cli.unquoted import refuse_unquoted

_REST = f"{__name__}.rest"


class CommandWithDoubleDash(Command):
    """A command whose options end at `--`. What follows is the user's command and is not parsed."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse what stands before `--`, and keep what follows. Without `--`, say where it is missing."""
        at = args.index("--") if "--" in args else len(args)
        given = list(args)
        if not ctx.resilient_parsing:
            refuse_unquoted(ctx, given, self.valued, self.with_dashes)
        ctx.meta[_REST], ctx.meta[AFTER_DASHES] = tuple(args[at + 1 :]), "--" in args
        begin = len(given) if "--" in given else self._begin(given)
        try:
            left = super().parse_args(ctx, args[:at])
        except UsageError as error:
            raise self._missing_dashes(ctx, given, begin) or error from error
        if not ctx.resilient_parsing and (missing := self._missing_dashes(ctx, given, begin)):
            raise missing
        return left

    def _missing_dashes(self, ctx: Context, given: list[str], begin: int) -> UsageError | None:
        """With the line that was probably meant; None when no word looks like a command."""
        if begin == len(given):
            return None
        fault = [] if begin else ["--down", "delay 80ms"]
        line = shlex.join(("chaoskit", str(ctx.info_name), *fault, *self.with_dashes(given)))
        return UsageError(f"write -- before the command: {line}", ctx)

    def with_dashes(self, words: list[str]) -> list[str]:
        """The words, with -- before the command."""
        begin = len(words) if "--" in words else self._begin(words)
        return [*words[:begin], *(["--"] if begin < len(words) else []), *words[begin:]]

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """The command after --, too."""
        return [*super().collect_usage_pieces(ctx), "-- COMMAND"]

    def _begin(self, args: list[str]) -> int:
        """Where the user's command begins: at the first word that is no option, no value of one, and no YAML file."""
        takes_value = self.valued
        for at, word in enumerate(args):
            is_value = at > 0 and args[at - 1] in takes_value
            if not word.startswith("-") and not is_value and not word.endswith((".yaml", ".yml")):
                return at
        return len(args)


def after_double_dash(context: typer.Context) -> tuple[str, ...]:
    """The arguments after `--`."""
    rest: tuple[str, ...] = context.meta[_REST]
    return rest
