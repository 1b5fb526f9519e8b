"""Gives a command groups of options, each a frozen dataclass that is one argument of the command.

A field is an option as Typer declares them: `Annotated[type, typer.Option(...)] = default`. The first sentence of the
group's docstring is its heading in the help.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import wraps
from typing import Any, get_type_hints

_OWN = inspect.Parameter.KEYWORD_ONLY


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its arguments that are dataclasses as options."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if hasattr(hint, "__dataclass_fields__")}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _options(groups[parameter.name])
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=_OWN))

    @wraps(command)
    def called(**given: Any) -> None:
        made = {
            name: group(**{each.name: given.pop(each.name) for each in fields(group)}) for name, group in groups.items()
        }
        command(**given, **made)

    vars(called)["__signature__"] = inspect.Signature(parameters)
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def kebab(group: Any, *left_out: str) -> dict[str, Any]:
    """The values of a group by the names that a file has for them."""
    return {name.replace("_", "-"): value for name, value in asdict(group).items() if name not in left_out}


def _options(group: Any) -> list[inspect.Parameter]:
    heading = (inspect.getdoc(group) or "").partition(".")[0]
    hints = get_type_hints(group, include_extras=True)
    found = []
    for each in fields(group):
        (option,) = hints[each.name].__metadata__
        option.rich_help_panel = heading
        found.append(inspect.Parameter(each.name, _OWN, default=each.default, annotation=hints[each.name]))
    return found
