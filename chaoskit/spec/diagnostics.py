"""What pydantic says of a value, as a person would: what was found, what was expected.

A sentence of ours about several keys names each between backquotes, `down` or `down: delay 80ms`, so that it can be
said in a file's words and in a command line's.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from pydantic_core import ErrorDetails

_EXAMPLES = {"for": "60s"}
_KEY = re.compile(r"`([a-z-]+)(?:: ([^`]*))?`")


def complaint(error: ErrorDetails, value: Any) -> str:
    """One fault of one value, without its place."""
    context = error.get("ctx", {})
    match error["type"]:
        case "misplaced":
            return str(context["sentence"])
        case "value_error":
            return str(context["error"]).replace("`", "")
        case "literal_error":
            return f"found {show(value)}, expected {context['expected']}"
        case "int_parsing" | "int_type" | "int_from_float":
            return f"found {show(value)}, expected a whole number"
        case "float_parsing" | "float_type":
            return f"found {show(value)}, expected a number"
        case "bool_parsing" | "bool_type":
            return f"found {show(value)}, expected true or false"
        case "string_pattern_mismatch":
            return f"found {show(value)}, expected lower-case letters, digits and - (for example loss-first-token)"
        case "greater_than_equal":
            return f"found {show(value)}, expected {context['ge']} or more"
        case "less_than_equal":
            return f"found {show(value)}, expected {context['le']} or less"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"found {show(value)}, expected keys below it"
        case "list_type" | "tuple_type":
            return f"found {show(value)}, expected a list"
        case _:
            return f"found {show(value)}, expected: {error['msg']}"


def option_complaint(error: ErrorDetails) -> str:
    """The same of an option's value, with the option and what in its value it is about."""
    option, *inside = (*error["loc"], *error.get("ctx", {}).get("below", ())) or ("",)
    if error["type"] == "missing" and not inside:
        return f"--{option}: missing; give for example --{option} {_EXAMPLES.get(str(option), '...')}"
    if error["type"] == "value_error" and not option:
        return _KEY.sub(_as_option, str(error["ctx"]["error"]))
    below = ".".join(str(step) for step in inside if isinstance(step, str))
    return ": ".join(each for each in (option and f"--{option}", below, complaint(error, error["input"])) if each)


def _as_option(key: re.Match[str]) -> str:
    name, value = key.groups()
    return f"--{name}" if value in (None, "true") else f"--{name} {shlex.quote(value)}"


def show(value: Any) -> str:
    """A value of a file, in a few words."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "keys (" + ", ".join(list(value)[:3]) + ")"
        case list():
            return f"a list of {len(value)}"
        case _:
            return repr(str(value)[:60])
