"""Replaces values of an experiment file by others, which are given by their dotted paths.

Rules: a path is that of a matrix: present in the file or not, list indices count from 0, and what the file names (a
fault, a host) must exist. Values are replaced before validation, so that the outcome is checked like a file of its own.
A value for what the matrix varies takes the place of all that it has there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from chaoskit.errors import SpecError
from chaoskit.spec.key_lines import MATRIX
from chaoskit.spec.load import Document, DocumentKind, Location, parse_document
from chaoskit.spec.matrix_axes import resolve

_MADE = re.compile(r"#\x20(the\x20variant|--set)\x20.*\n")
_NULLS = ("", "~", "null")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./%+-]*")
_VALUE = DocumentKind("a value", "key: value", "write for example 4/s")


def parse_settings(options: Sequence[str]) -> dict[str, Any]:
    """The values of `KEY=VALUE` by their keys; a value in braces or brackets is YAML. Raises SpecError."""
    found: dict[str, Any] = {}
    for option in options:
        key, is_given, value = option.partition("=")
        if not key or not is_given:
            raise SpecError(f"--set: found {option!r}, expected KEY=VALUE, such as workload.request-rate=4/s")
        if key in found:
            raise SpecError(f"--set: {key} is given twice; keep one")
        is_yaml = value.startswith(("{", "[")) or value in _NULLS
        found[key] = parse_document(f"value: {value}", f"--set {key}", _VALUE).words["value"] if is_yaml else value
    return found


def parse_variations(options: Sequence[str]) -> dict[str, list[Any]]:
    """The values of `PATH=VALUE,...` by their paths; with braces, brackets or quotes: YAML. Raises SpecError."""
    found: dict[str, list[Any]] = {}
    for option in options:
        key, is_given, text = option.partition("=")
        if not key or not is_given or not text.strip():
            example = "faults.wifi.netem.loss=0%,1%,2%"
            raise SpecError(f"--vary: found {option!r}, expected PATH=VALUE,VALUE,..., such as {example}")
        if key in found:
            raise SpecError(f"--vary: {key} is given twice; keep one")
        is_yaml = any(sign in text for sign in "{[\"'")
        values = parse_document(f"value: [{text}]", f"--vary {key}", _VALUE).words["value"] if is_yaml else None
        found[key] = [value.strip() for value in text.split(",")] if values is None else values
        if not is_yaml and "" in found[key]:
            raise SpecError(f"--vary: {option!r} has an empty value; remove a comma")
    return found


def overridden(document: Document, values: Mapping[str, Any], givers: Mapping[str, str] | None = None) -> Document:
    """The document with these values at these paths. Raises SpecError for a path that cannot be there.

    `givers`: what gave the value of a path, for messages; without it the path and its value are named.
    """
    words: Any = document.words
    given = dict(document.given)
    if not isinstance(values, Mapping):  # from Python
        raise SpecError(f"overrides: found {values!r}, expected values by their dotted paths: {{'seed': 7}}")
    matrix = words.get(MATRIX)
    varied = {resolve(key, words): key for key in matrix or ()} if isinstance(matrix, dict) else {}
    for key, value in values.items():
        giver = (givers or {}).get(key)
        cannot = giver or f"{document.tree.name}: cannot set {key}"
        try:
            where = resolve(key, words)
        except ValueError as error:
            raise SpecError(f"{cannot}: {error}") from None
        if (axis := varied.pop(where, None)) is not None:
            words = _without_axis(words, axis)
        elif part := next((other for place, other in varied.items() if are_related(place, where)), None):
            raise SpecError(f"{cannot}: the matrix varies {part}; set that")
        words = with_value(words, where, _as_text(value))
        given[where] = giver or written({key: value})
    return replace(document, words=words, given=given)


def options_of(option: str, values: Iterable[str]) -> dict[str, str]:
    """These paths, each with the option that gave it: `--vary workload.request-rate`."""
    return {key: f"{option} {key}" for key in values}


def refuse_replaced(document: Document, former: Mapping[str, str], later: Mapping[str, str]) -> None:
    """Raises SpecError where one of the `later` paths replaces what a `former` one gives.

    Both are paths with the options that gave them. A path that cannot be in the document is left to `overridden`.
    """
    places: list[dict[str, Location]] = []
    for paths in (former, later):
        places.append({})
        for key, option in paths.items():
            with suppress(ValueError):
                places[-1][option] = resolve(key, document.words)
    for option, where in places[1].items():
        for other, place in places[0].items():
            if place[: len(where)] == where:
                raise SpecError(f"{option} replaces what {other} gives; leave one of them out")


def are_related(one: Location, other: Location) -> bool:
    """Whether one of these locations is above the other, or the same."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def varying(document: Document, values: Mapping[str, Sequence[Any]]) -> Document:
    """The document with these values in its matrix, by their dotted paths, in the place of those that it has there."""
    if not values:
        return document
    matrix = document.words.get(MATRIX) or {}
    added = {key: [_as_text(value) for value in each] for key, each in values.items()}
    given = dict(document.given)
    for key, each in added.items():
        given |= dict.fromkeys([(MATRIX, key), *((MATRIX, key, place) for place in range(len(each)))], f"--vary {key}")
    return replace(document, words={**document.words, MATRIX: {**matrix, **added}}, given=given)


def _without_axis(words: dict[str, Any], axis: str) -> dict[str, Any]:
    """Without this key of the matrix; without the matrix when it was the last."""
    left = {key: each for key, each in words[MATRIX].items() if key != axis}
    return {**words, MATRIX: left} if left else {key: each for key, each in words.items() if key != MATRIX}


def with_value(part: Any, where: Location, value: Any) -> Any:
    """A copy of the tree with this value at that location. Missing parents are created."""
    if not where:
        return value
    step, rest = where[0], where[1:]
    if isinstance(part, list):
        return [with_value(each, rest, value) if at == step else each for at, each in enumerate(part)]
    part = part or {}
    return {**part, step: with_value(part.get(step), rest, value)}


@contextmanager
def naming(values: Mapping[str, Any], document: Document) -> Iterator[None]:
    """A SpecError inside says what was set, unless each of its lines is about one of the values themselves."""
    try:
        yield
    except SpecError as error:
        givers = tuple(f"{giver}:" for giver in document.given.values())
        is_told = all(line.startswith(givers) for line in str(error).splitlines())
        raise SpecError(str(error) if is_told or not values else f"{error} (with {written(values)} set)") from None


def written(values: Mapping[str, Any]) -> str:
    """The values on one line: workload.request-rate=4/s, seed=7."""
    return ", ".join(words_of(values))


def words_of(values: Mapping[str, Any]) -> list[str]:
    """The same as values of --set, one word each."""
    return [f"{key}={_flow(_as_text(value), is_inside=False)}" for key, value in values.items()]


def heading(values: Mapping[str, Any]) -> str:
    """The first line of a text in which these were set: `# --set seed=7`."""
    line = shlex.join(word for each in words_of(values) for word in ("--set", each))
    return f"# {line if line.isprintable() else '--set of values that are no single line'}\n"


def is_made_of_another(text: str) -> bool:
    """Whether a matrix or --set made this text: by its heading, it stands in no other file."""
    return _MADE.match(text) is not None


def settings_in(text: str) -> tuple[str, ...]:
    """The values of --set that the heading of this text names; none where it has no such heading."""
    try:
        words = shlex.split(text.partition("\n")[0].removeprefix("# "))
    except ValueError:
        return ()
    settings = words[1::2]
    is_heading = words[::2] == ["--set"] * len(settings) and all("=" in each for each in settings)
    return tuple(settings) if is_heading else ()


def _flow(value: Any, is_inside: bool = True) -> str:
    """A value in YAML's flow style; a text within another value is quoted unless it is plain."""
    match value:
        case dict():
            return f"{{{', '.join(f'{_flow(key)}: {_flow(below)}' for key, below in value.items())}}}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case None:
            return "null"
        case _:
            text = str(value)
            is_plain = not is_inside or (_PLAIN.fullmatch(text) and text not in _NULLS)
            return text if is_plain else json.dumps(text)


def _as_text(value: Any) -> Any:
    """As the loader reads it from a file: every scalar as its text."""
    match value:
        case Mapping():
            return {str(key): _as_text(below) for key, below in value.items()}
        case list() | tuple():
            return [_as_text(below) for below in value]
        case bool():
            return str(value).lower()
        case None | str():
            return value
        case _:
            return str(value)
