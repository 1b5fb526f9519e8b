"""Finds what was meant by an option or a command that does not exist, by meaning or by spelling."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher
from functools import partial
from pathlib import PurePath

from typer._click.core import Context
from typer.core import TyperArgument

from chaoskit.cli.elsewhere import place_elsewhere
from chaoskit.cli.file_completers import WORDS
from chaoskit.cli.foreign_names import option_meant
from chaoskit.cli.help_rows import value_name

_ALIKE = 0.78  # of 1: one wrong, missing or doubled letter in four to five
_FEW = 4
_INTO_A_FILE = ("o", "out", "output")


def advice_for_option(wrong: str, ctx: Context) -> str:
    """What to write instead of this option; "" where nothing is near."""
    has = [name for each in ctx.command.params for name in each.opts if name.startswith("-")]
    arguments = [each.display_name_raw for each in ctx.command.params if isinstance(each, TyperArgument)]
    word = wrong.lstrip("-")
    if word in _INTO_A_FILE and "--out" not in has and (file := _file_behind(wrong, ctx)):
        return f"it prints; to write a file: {ctx.command_path} ... > {shlex.quote(file)}"
    if f"--{word}" in has:
        return f"write --{word}, with two dashes"
    if word == "all" and arguments == ["LEASE"]:
        return f"without LEASE it is about all of them: {ctx.command_path}"
    meant = option_meant(word, [*has, *arguments])
    if meant and meant[0] in arguments:
        return f"write {meant[0]} alone: {ctx.command_path} {meant[0]}"
    near = meant[:2] or near_in_spelling(wrong, has) or _with_the_same_words(word, has)
    return (
        f"did you mean {' or '.join(map(partial(_with_choices, ctx), near))}?" if near else place_elsewhere(wrong, ctx)
    )


def _file_behind(wrong: str, ctx: Context) -> str:
    """The file that was typed after this option; "" where that is none by its name."""
    words = [part for word in ctx.meta.get(WORDS, ()) for part in word.split("=", 1)]
    after = words[words.index(wrong) + 1 :][:1] if wrong in words else []
    return after[0] if after and PurePath(after[0]).suffix and not after[0].startswith("-") else ""


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
