"""Formats the arguments and options of a command for its help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from typer._click.core import Parameter
from typer.core import TyperArgument, TyperOption

_NAMES = {int: "N", float: "X", Path: "PATH", str: "TEXT"}


def rows(parameters: Iterable[Parameter]) -> dict[str, list[tuple[str, str]]]:
    """The lines below "Arguments", the heading of each group of options, and "Options", as far as there are any."""
    found: dict[str, list[tuple[str, str]]] = {}
    options: list[tuple[str, str]] = []
    for each in parameters:
        if isinstance(each, TyperArgument) and not each.hidden:
            row = (argument_name(each), " ".join((each.help or "", *_remarks(each))))
            found.setdefault("Arguments", []).append(row)
        elif isinstance(each, TyperOption) and not each.hidden:
            name = ", ".join(sorted(each.opts, key=len)) + ("" if each.is_flag else f" {value_name(each)}")
            group = found.setdefault(each.rich_help_panel, []) if each.rich_help_panel else options
            group.append((name, " ".join((each.help or "", *_remarks(each)))))
    return found | ({"Options": options} if options else {})


def argument_name(argument: TyperArgument) -> str:
    """`FILE`, or `FILE...` where several are taken."""
    return argument.display_name_raw + ("..." if argument.nargs != 1 else "")


def value_name(parameter: Parameter) -> str:
    """What an option takes: `PATH`, `auto|here|uml`."""
    if not isinstance(parameter, TyperOption | TyperArgument) or parameter.metavar is not None:
        return str(parameter.metavar)
    annotation = item_type(parameter)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "|".join(str(each.value) for each in annotation)
    return _NAMES.get(annotation, "TEXT")


def item_type(parameter: TyperOption | TyperArgument) -> Any:
    """The type of a value; of a list that of one in it."""
    annotation = parameter.type_descriptor.annotation
    return next(iter(get_args(annotation)), annotation)


def bounds(parameter: Parameter) -> str:
    """`1 or more`, `88 to 32767`; nothing where there are none."""
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if most is not None:
        return f"{least} to {most}"
    return "" if least is None else f"{least} or more"


def _remarks(parameter: TyperOption | TyperArgument) -> Iterator[str]:
    """In brackets: the default, the bounds."""
    default = parameter.default
    is_said = default is None or default is False or default in ((), []) or callable(default)
    shown = default.value if isinstance(default, Enum) else f"{default:g}" if isinstance(default, float) else default
    found = [] if is_said else [f"default: {shown}"]
    found += [bounds(parameter)] if bounds(parameter) else []
    if found:
        yield f"[{'; '.join(found)}]"
