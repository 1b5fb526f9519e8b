"""Repairs a command line whose fault or objective was typed as several words, or without its option."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence

from typer._click.core import Context
from typer._click.exceptions import UsageError  # they have no public names

from chaoskit.cli.injection_words import named, still_needed
from chaoskit.cli.sentences import Sentence, sentences_of


def refuse_unquoted(
    ctx: Context, args: list[str], valued: Collection[str], with_dashes: Callable[[list[str]], list[str]]
) -> None:
    """Raise UsageError with the line that was meant, where quotes or an option are missing before --."""
    at = args.index("--") if "--" in args else len(args)
    if not {"-h", "--help"}.isdisjoint(args[:at]):
        return
    options = {name for each in ctx.command.params for name in each.opts}
    meant = repaired(str(ctx.info_name), args[:at], options, valued)
    if meant != args[:at]:
        line = shlex.join((*ctx.command_path.split(" "), *with_dashes([*meant, *args[at:]])))
        is_split = any(" " in word for word in set(meant) - set(args))
        rule = "put quotes around a value of several words" if is_split else "write the option before its value"
        raise UsageError(f"{rule}: {line}", ctx)


def repaired(command: str, args: Sequence[str], options: Collection[str], valued: Collection[str]) -> list[str]:
    """The words with the quotes and options that are missing; the same ones if none is, or another mistake is there.

    `options` are those of the command, `valued` those of them that take a value.
    """
    found: list[str] = []
    words, sentences = list(args), list(sentences_of(options))
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if option in valued and (equals or words):
            value = value if equals else words.pop(0)
            kind = next((each for each in sentences if option in each.options), None)
            if kind is not None and not kind.is_whole(value):
                value = kind.with_following(value, words)
            found += [f"{option}={value}"] if equals and value == word[len(option) + 1 :] else [option, value]
        elif word.startswith("-") and option not in options and word != "-" and found == list(args[: len(found)]):
            return list(args)
        elif not word.startswith("-") and (value_too := _without_option(word, words, sentences)):
            found += value_too
        elif command == "inject" and not word.startswith("-") and not word.endswith((".yaml", ".yml", ".json")):
            found += named(word)
        else:
            found.append(word)
    return found if found == list(args) or command != "inject" else [*found, *still_needed(found)]


def _without_option(word: str, words: list[str], sentences: Sequence[Sentence]) -> list[str]:
    """The value and its option, where this word begins one that is whole."""
    for kind in sentences:
        left = list(words)
        if kind.begins(word.split(" ")[0]) and kind.is_whole(value := kind.with_following(word, left)):
            words[:] = left
            return [kind.options[0], value]
    return []
