"""Describes pydantic's errors in plain sentences: what was found, what was expected.

A message of this package about several keys puts each between backquotes, `down` or `down: delay 80ms`, so that it can
be printed with the keys of a file or with the options of a command line.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails, ValidationError

from chaoskit.spec.known_keys import advice, keys_below

_EXAMPLES = {"for": "60s"}
_LONGEST_NAME = 64
_SHOWN = 60  # characters of a value in a message
_MOST_DIGITS = 18  # of a whole number; a seed may have one more
_NO_NUMBERS = ("nan", "inf", "infinity")
_THOUSANDS = re.compile(r"([0-9]{1,9})[kK]")
_BYTES = re.compile(r"([0-9]{1,9}) ?(?:B|bytes?)")
_KEY = re.compile(r"`([a-z-]+)(?:: ([^`]*))?`")


def describe_error(error: ErrorDetails, value: Any, places: Iterable[tuple[str, ...]] = ()) -> str:
    """One error of one value, without its location. `places` are the paths of all keys that there are."""
    context = error.get("ctx", {})
    match error["type"]:
        case "unknown_key":
            (key,) = context["below"]
            return f"unknown key; {advice(key, context['known'], error['loc'], places)}"
        case "misplaced":
            return str(context["sentence"])
        case "value_error":
            return str(context["error"]).replace("`", "")
        case "literal_error" | "enum":
            return f"found {brief(value)}, expected {context['expected']}{_choice(str(value), context['expected'])}"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return f"found {brief(value)}, expected {_whole_number(str(value).strip())}"
        case "float_parsing" | "float_type" | "finite_number":
            return f"found {brief(value)}, expected a number"
        case "less_than_equal" | "greater_than_equal" if str(value).strip().lower().lstrip("+-") in _NO_NUMBERS:
            return f"found {brief(value)}, expected a number"
        case "bool_parsing" | "bool_type":
            return f"found {brief(value)}, expected true or false"
        case "string_pattern_mismatch" if len(str(value)) > _LONGEST_NAME:
            return f"found {brief(value)}, expected {_LONGEST_NAME} characters at most"
        case "string_pattern_mismatch" if ":" in str(value):
            return f"found {brief(value)}; write a space after the colon"
        case "string_pattern_mismatch":
            return f"found {brief(value)}, expected lower-case letters, digits and - (for example loss-first-token)"
        case "greater_than_equal":
            return f"found {brief(value)}, expected {_plain(context['ge'])} or more"
        case "less_than_equal":
            return f"found {brief(value)}, expected {_plain(context['le'])} or less"
        case "less_than":
            return f"found {brief(value)}, expected less than {_plain(context['lt'])}"
        case "greater_than":
            return f"found {brief(value)}, expected more than {_plain(context['gt'])}"
        case "string_type" | "string_sub_type" | "string_unicode":
            return f"found {brief(value)}, expected a text"
        case "string_too_short":
            return "empty; write a text"
        case "too_short" | "too_long":
            return f"found {brief(value)}, expected {_how_many(context)}"
        case "extra_forbidden":
            return "unknown key; remove it"
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            below = keys_below(error["loc"], places)
            return f"found {brief(value)}, expected keys below it{': ' if below else ''}{', '.join(below)}"
        case "list_type" | "tuple_type":
            return f"found {brief(value)}, expected a list: lines that begin with a dash, or [..., ...]"
        case _:
            return f"found {brief(value)}, which does not fit here"


def _how_many(context: Mapping[str, Any]) -> str:
    """Of a list or mapping."""
    least, most = context.get("min_length"), context.get("max_length")
    return f"{least} or more" if most is None or least else f"{most} or fewer"


def _choice(found: str, expected: str) -> str:
    """The one of these choices that begins so, or that is close."""
    choices = re.findall(r"'([^']+)'", expected)
    near = [each for each in choices if len(found) > 1 and (each.startswith(found) or found.startswith(each))]
    near = near or difflib.get_close_matches(found.lower(), choices, 1, 0.7)
    return f"; did you mean {near[0]}?" if near else ""


def _plain(limit: float) -> str:
    """Without `.0`; a power of two that nobody reads as one."""
    return "2^63" if limit == 2**63 else str(limit).removesuffix(".0")


def _whole_number(found: str) -> str:
    """What is expected, and the number that is perhaps meant."""
    bare = found.lstrip("+-")
    if bare.isdecimal() and len(bare) > _MOST_DIGITS:
        return f"a whole number of {_MOST_DIGITS} digits at most"
    if (size := _BYTES.fullmatch(found)) is not None:
        return f"a whole number; write {size[1]}"
    plain = found.replace(",", "").replace("_", "").replace(" ", "")
    if (thousands := _THOUSANDS.fullmatch(plain)) is not None:
        return f"a whole number; write {thousands[1]}000"
    return "a whole number" + (f"; write {plain}" if plain != found and plain.isdecimal() else "")


def describe_option_error(error: ErrorDetails) -> str:
    """The same for an option's value, with the option and the part of the value that is wrong."""
    option, *inside = (*error["loc"], *error.get("ctx", {}).get("below", ())) or ("",)
    if error["type"] == "missing" and not inside:
        return f"--{option}: missing; give for example --{option} {_EXAMPLES.get(str(option), '...')}"
    if error["type"] == "value_error" and not option:
        return _KEY.sub(_as_option, str(error["ctx"]["error"]))
    below = ".".join(str(step) for step in inside if isinstance(step, str))
    return ": ".join(each for each in (option and f"--{option}", below, describe_error(error, error["input"])) if each)


def _as_option(key: re.Match[str]) -> str:
    name, value = key.groups()
    return f"--{name}" if value in (None, "true") else f"--{name} {shlex.quote(value)}"


def found_input(error: BaseException | None) -> str:
    """The value that a validation refused first."""
    return brief(error.errors()[0]["input"]) if isinstance(error, ValidationError) else "something else"


def brief(value: Any) -> str:
    """A short description of a value of a file."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "keys (" + ", ".join(list(value)[:3]) + ")" if value else "no keys"
        case list():
            return f"a list of {len(value)}" if value else "an empty list"
        case str() if len(value) > _SHOWN:
            return f"{value[:_SHOWN]!r}… ({len(value)} characters)"
        case _:
            return repr(str(value)[:_SHOWN])
