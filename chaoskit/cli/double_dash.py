"""Splits a command line at `--`: chaoskit's own options before it, the user's command after it."""

from __future__ import annotations

import typer
from typer.core import TyperCommand

_REST = f"{__name__}.rest"


class CommandWithDoubleDash(TyperCommand):
    """A command whose options end at `--`. What follows is the user's command and is not parsed."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse what stands before `--`, and keep what follows."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_REST] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


def after_double_dash(context: typer.Context) -> tuple[str, ...]:
    """The arguments after `--`."""
    rest: tuple[str, ...] = context.meta[_REST]
    return rest
