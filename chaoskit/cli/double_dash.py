"""Words that belong to somebody else: all that follows `--`."""

from __future__ import annotations

import typer
from typer.core import TyperCommand

_REST = f"{__name__}.rest"


class BeforeTheDashes(TyperCommand):
    """A command whose own words end at `--`; what follows belongs to somebody else and is not read."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Take the rest away."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_REST] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


def after_the_dashes(context: typer.Context) -> tuple[str, ...]:
    """The rest."""
    rest: tuple[str, ...] = context.meta[_REST]
    return rest
