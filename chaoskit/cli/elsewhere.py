"""Finds where else an option exists: in an experiment file as a key, or in other commands."""

from __future__ import annotations

from collections.abc import Iterator

from typer._click.core import Context  # it has no public name
from typer.core import TyperGroup


def place_elsewhere(wrong: str, ctx: Context) -> str:
    """Which other commands have it, or that a file has it as a key."""
    return next(iter((*_in_the_file(wrong, ctx), *_of_other_commands(wrong, ctx))), "")


def _in_the_file(wrong: str, ctx: Context) -> Iterator[str]:
    if ctx.info_name in ("run", "plan", "validate", "exec"):
        from chaoskit.spec.experiment import Experiment
        from chaoskit.spec.workload import Workload

        key = wrong.lstrip("-")
        if key in {field.alias or name for name, field in Experiment.model_fields.items()}:
            yield f"it is a key of FILE: write {key}: there"
        if key in {field.alias or name for name, field in Workload.model_fields.items()}:
            yield f"it is a key of FILE: write {key}: there, below workload:"


def _of_other_commands(wrong: str, ctx: Context) -> Iterator[str]:
    root = ctx.find_root()
    if isinstance(root.command, TyperGroup):
        commands = {name: each for name, each in root.command.commands.items() if not each.hidden}
        having = [name for name, each in commands.items() if any(wrong in one.opts for one in each.params)]
        if having:
            *others, last = having[:3]
            shown = f"{', '.join(others)} and {last}" if others else last
            yield f"chaoskit {shown} {'have' if others else 'has'} it"
