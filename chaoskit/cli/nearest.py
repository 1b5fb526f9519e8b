"""Finds what was meant by an option or a command that does not exist, by meaning or by spelling."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import SequenceMatcher
from functools import partial

from typer._click.core import Context
from typer.core import TyperArgument, TyperGroup

from chaoskit.cli.foreign_names import option_meant
from chaoskit.cli.help_rows import value_name

_ALIKE = 0.78  # of 1: one wrong, missing or doubled letter in four to five
_FEW = 4


def advice_for_option(wrong: str, ctx: Context) -> str:
    """What to write instead of this option; "" where nothing is near."""
    has = [name for each in ctx.command.params for name in each.opts if name.startswith("-")]
    arguments = [each.display_name_raw for each in ctx.command.params if isinstance(each, TyperArgument)]
    word = wrong.lstrip("-")
    if f"--{word}" in has:
        return f"write --{word}, with two dashes"
    meant = option_meant(word, [*has, *arguments])
    if meant and meant[0] in arguments:
        return f"write {meant[0]} alone: {ctx.command_path} {meant[0]}"
    near = meant[:2] or near_in_spelling(wrong, has) or _with_the_same_words(word, has)
    return f"did you mean {' or '.join(map(partial(_with_choices, ctx), near))}?" if near else _elsewhere(wrong, ctx)


def _with_choices(ctx: Context, option: str) -> str:
    """`--format console|json`: with the values, where these are few words."""
    taking = next((each for each in ctx.command.params if option in each.opts), None)
    choices = "" if taking is None or getattr(taking, "is_flag", False) else value_name(taking)
    return f"{option} {choices}" if "|" in choices else option


def near_in_spelling(wrong: str, names: Iterable[str]) -> list[str]:
    """Those that differ in a letter or two, or in the order of the letters; the nearest first."""
    found = {
        name: 1 if sorted(wrong) == sorted(name) else SequenceMatcher(None, wrong.strip("-"), name.strip("-")).ratio()
        for name in names
    }
    return sorted((name for name, ratio in found.items() if ratio >= _ALIKE), key=lambda name: -found[name])[:2]


def _with_the_same_words(word: str, names: Collection[str]) -> list[str]:
    """`--max-concurrency` for `concurrency`: one has all words of the other."""
    words = set(word.split("-"))
    found = [name for name in names if words <= set(name.split("-")) or set(name[2:].split("-")) < words]
    return found if len(found) <= _FEW and len(word) > 1 else []


def _elsewhere(wrong: str, ctx: Context) -> str:
    """Which other commands have it, or that a file has it as a key."""
    return next(iter((*_in_the_file(wrong, ctx), *_of_other_commands(wrong, ctx))), "")


def _in_the_file(wrong: str, ctx: Context) -> Iterator[str]:
    if ctx.info_name in ("run", "plan", "validate", "exec"):
        from chaoskit.spec.experiment import Experiment, Workload

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
            yield f"chaoskit {' and '.join(having[:3])} {'has' if len(having) == 1 else 'have'} it"
