"""Says in one sentence what is wrong with a command line, and what to type."""

from __future__ import annotations

from enum import Enum

from typer._click import Parameter
from typer._click.exceptions import (  # they have no public names
    BadOptionUsage,
    BadParameter,
    MissingParameter,
    NoSuchOption,
    UsageError,
)
from typer.core import TyperArgument, TyperOption

from chaoskit.cli.file_completers import WORDS
from chaoskit.cli.help_rows import argument_name, bounds, item_type, value_name
from chaoskit.cli.nearest import advice_for_option


def explain(error: UsageError) -> str:
    """The sentence, the usage line, and where the rest is explained."""
    if error.ctx is None:
        return sentence(error)
    usage = " ".join(error.ctx.get_usage().split()).replace("Usage:", "usage:")
    shows = "lists its options" if isinstance(error, NoSuchOption) else "explains it"
    return f"{sentence(error)}\n{usage}\n{error.ctx.command_path} --help {shows}"


def sentence(error: UsageError) -> str:
    """What is wrong, and what would be right."""
    path = error.ctx.command_path if error.ctx else "chaoskit"
    match error:
        case NoSuchOption():
            wrong = _as_typed(error)
            advice = advice_for_option(wrong, error.ctx) if error.ctx else ""
            return "; ".join(filter(None, (f"{path} has no option {wrong}", advice)))
        case MissingParameter():
            value = f" {value_name(error.param)}" if isinstance(error.param, TyperOption) else ""
            return f"{_name(error.param)} is missing; write {path} {_name(error.param)}{value}"
        case BadParameter():
            return f"{_name(error.param)}: {_why_bad(error)}"
        case BadOptionUsage():
            options = error.cmd.params if error.cmd else []
            option = next((each for each in options if error.option_name in each.opts), None)
            if isinstance(option, TyperOption) and not option.is_flag:
                return f"{error.option_name} has no value; write {error.option_name} {value_name(option)}"
            return f"{error.option_name} takes no value; write it alone"
        case _:
            return error.message


def _as_typed(error: NoSuchOption) -> str:
    """The whole word: of `-rate 5` the library names `-r`."""
    typed = error.ctx.meta.get(WORDS, ()) if error.ctx else ()
    is_short = not error.option_name.startswith("--")
    words = (word.partition("=")[0] for word in typed if is_short and word.startswith(error.option_name))
    return next(words, error.option_name)


def _name(parameter: Parameter | None) -> str:
    if isinstance(parameter, TyperArgument):
        return argument_name(parameter)
    return parameter.opts[0] if parameter else "an option"


def _why_bad(error: BadParameter) -> str:
    """What was found and what is expected, from the parameter's type and the validation behind it."""
    from chaoskit.spec.diagnostics import found_input

    found = found_input(error.__cause__)
    annotation = item_type(error.param) if isinstance(error.param, TyperOption | TyperArgument) else str
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        *others, last = (str(each.value) for each in annotation)
        return f"found {found}, expected {', '.join(others)} or {last}"
    kind = {int: "a whole number", float: "a number"}.get(annotation, "a text")
    limits = bounds(error.param) if error.param else ""
    return f"found {found}, expected {kind}{', ' if limits else ''}{limits}"
