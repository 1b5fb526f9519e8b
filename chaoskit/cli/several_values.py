"""Lets an option take several values in a row: `--baseline A B --candidate C D`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from typer._click.core import Context

from chaoskit.cli.command import Command

_WITH_SEVERAL = ("--baseline", "--candidate")


class CommandWithSeveralValues(Command):
    """A command some of whose options take all words up to the next option."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse as if each of these options were repeated."""
        return super().parse_args(ctx, list(repeated(args, _WITH_SEVERAL)))


def repeated(words: Sequence[str], options: Collection[str]) -> Iterator[str]:
    """The words, with the option before each of its further values."""
    option, has_value = "", False
    for word in words:
        name, equals, _ = word.partition("=")
        if word.startswith("-") and word != "-":
            option, has_value = (name if name in options else ""), bool(equals)
        elif option and has_value:
            yield option
        else:
            has_value = True
        yield word
