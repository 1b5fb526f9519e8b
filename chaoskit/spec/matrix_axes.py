"""Parses the keys of a matrix: the path of each in the file, its values, and their names.

Helpers raise ValueError for one key; `axes` collects them into one SpecError, a line for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from chaoskit.errors import SpecError
from chaoskit.faults.schema import suggestion
from chaoskit.spec.diagnostics import brief
from chaoskit.spec.file_paths import FIXED, ending_with, is_key_of_file
from chaoskit.spec.key_lines import MATRIX
from chaoskit.spec.load import Document, Location, dotted_path

MAX_VARIANTS = 64  # of a run, which keeps all results in memory
_LONGEST_LABEL, _LONGEST_NAME = 40, 120
_NAMED: Mapping[Location, str] = {
    ("faults",): "fault",
    ("stage", "hosts"): "host",
    ("workloads",): "workload",
}
"""Where the keys are names that the file gives: a path that has another one creates nothing."""

_RATE = re.compile(r"[0-9.]{1,20} ?[A-Za-z]{0,10}/[a-z]{1,10}")
_EXAMPLE = "write for example workload.prompt-size: [1kB, 16kB]"


@dataclass(frozen=True)
class Axis:
    """One key of a matrix. `tail` and `labels` name it and its values in the names of variants."""

    key: str
    where: Location
    tail: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]

    def shown(self, place: int) -> str:
        """The value at this place, for people: its label, or a rate as it is written, `2/s`."""
        value = self.values[place]
        return value if isinstance(value, str) and _RATE.fullmatch(value) else self.labels[place]


def axes(document: Document, most: int = MAX_VARIANTS) -> tuple[Axis, ...]:
    """The axes of a file with a matrix, of so many variants at most. Raises SpecError, a line for each wrong key."""
    matrix = document.words[MATRIX]
    if not isinstance(matrix, dict) or not matrix:
        raise document.error_at(f"found {brief(matrix)}, expected paths with lists of values; {_EXAMPLE}", (MATRIX,))
    errors: list[str] = []
    found: dict[str, Location] = {}
    for key, values in matrix.items():
        try:
            where = resolve(key, document.words)
            _check(key, values)
            _check_disjoint(key, where, found)
            found[key] = where
        except ValueError as error:
            errors.append(str(document.error_at(str(error), (MATRIX, key))))
    if errors:
        raise SpecError("\n".join(errors))
    counts = [len(values) for values in matrix.values()]
    if prod(counts) > most:
        total = " x ".join(map(str, counts)) + (f" = {prod(counts)}" if len(counts) > 1 else "")
        remedy = "; remove some values" + (", or run it with chaoskit sweep" if most == MAX_VARIANTS else "")
        raise document.error_at(f"{total} variants, and at most {most} are allowed{remedy}", (MATRIX,))
    return tuple(
        Axis(key, where, tail, tuple(matrix[key]), _labels(matrix[key]))
        for (key, where), tail in zip(found.items(), _short_names(list(found.values())), strict=True)
    )


def variant_name(axes: tuple[Axis, ...], places: tuple[int, ...], number: int) -> str:
    """`prompt-size=4kB,loss=1%`: usable as a directory name. A long one is cut and gets its number."""
    pairs = zip(axes, places, strict=True)
    name = ",".join(f"{axis.tail}={axis.labels[place]}" for axis, place in pairs)
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}~{number}"


def resolve(key: str, words: dict[str, Any]) -> Location:
    """The location of this dotted path in the file, present or not. Raises ValueError."""
    where: Location = ()
    part: Any = words
    steps = key.split(".")
    if steps[0] in FIXED:
        raise ValueError(f"{steps[0]} cannot be varied; {_EXAMPLE}")
    if not is_key_of_file(steps[0]) and (near := ending_with(steps, words)):
        raise ValueError(f"no key at the top of a file is called {steps[0]}; did you mean {' or '.join(near[:3])}?")
    while steps:
        step, *steps = [".".join(steps)] if where and where[-1] == "sysctl" else steps
        match part:
            case list():
                if not (step.isdecimal() and int(step) < len(part)):
                    raise ValueError(_index_expected(part, where, [step, *steps]))
                where, part = (*where, int(step)), part[int(step)]
            case dict():
                step = _key_in_file(step, part)
                if step.isdecimal() and step not in part and steps and steps[0] in part:
                    right = dotted_path((*where, *steps))
                    raise ValueError(f"{dotted_path(where)} is no list in this file; write {right}")
                if (named := _NAMED.get(where)) and step not in part:
                    raise ValueError(f"no {named} is called {step!r}; {suggestion(step, part)}")
                where, part = (*where, step), {} if part.get(step) is None else part[step]
            case _:
                raise ValueError(
                    f"{dotted_path(where)} is {_display(part)} in this file, which has no keys; write it as keys, "
                    f"or vary {dotted_path(where)} itself"
                )
    return where


def _index_expected(part: list[Any], where: Location, steps: list[str]) -> str:
    """The message for a list that needs an index."""
    at = next((at for at, each in enumerate(part) if isinstance(each, dict) and steps[0] in each), 0)
    rest = steps[1:] if steps[0].isdecimal() else steps
    right = dotted_path((*where, at, *rest))
    return f"{dotted_path(where)} is a list of {len(part)} in this file, counted from 0; write for example {right}"


def _key_in_file(step: str, part: dict[str, Any]) -> str:
    """The key as the file spells it: - and _ are the same, as in all keys."""
    if step in part:
        return step
    return next((key for key in part if key.replace("_", "-") == step.replace("_", "-")), step)


def _check(key: str, values: Any) -> None:
    """Raises ValueError unless this is a list of different values."""
    if isinstance(values, dict):
        below = next(iter(values), "...")
        raise ValueError(f"found {brief(values)}, expected a list; write the whole path as one key, {key}.{below}")
    if not isinstance(values, list) or not values:
        raise ValueError(f"found {brief(values)}, expected a list of values, for example [{values or '1kB'}, ...]")
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{_display(value)} is given twice; keep one")


def _check_disjoint(key: str, where: Location, others: dict[str, Location]) -> None:
    """Raises ValueError if two keys vary the same part of the file."""
    for other, place in others.items():
        shorter = min(len(where), len(place))
        if where[:shorter] == place[:shorter]:
            raise ValueError(f"varies what {other} varies; keep one of them")


def _short_names(places: list[Location]) -> list[str]:
    """The shortest unique suffix of each path; of a longer one its first and last key."""
    pieces = [dotted_path(where).split(".") for where in places]
    ends = [_unique_suffix(each, [other for other in pieces if other is not each]) for each in pieces]
    short = [(end[0], end[-1]) if len(end) > 1 else (end[0],) for end in ends]
    return [
        _safe_name(".".join(pair if short.count(pair) == 1 else end)) for end, pair in zip(ends, short, strict=True)
    ]


def _unique_suffix(own: list[str], others: list[list[str]]) -> list[str]:
    """The shortest suffix that no other path has, starting with a key and not an index."""
    ends = (own[begin:] for begin in range(len(own) - 1, 0, -1) if not own[begin].isdecimal())
    return next((end for end in ends if all(other[-len(end) :] != end for other in others)), own)


def _labels(values: list[Any]) -> tuple[str, ...]:
    """Names of the values, by what tells them apart where they are long; equal ones get their number."""
    labels = [_safe_name(" ".join(_leaves(value))) for value in values]
    if any(len(label) > _LONGEST_LABEL for label in labels):
        labels = [_cut(words) for words in _telling([_words(value) for value in values])]
    return tuple(
        label if label and labels.count(label) == 1 else f"{label}~{number}" for number, label in enumerate(labels, 1)
    )


def _telling(values: list[list[str]]) -> Iterator[list[str]]:
    """The words of each that not all have; of one that is still too long those that no other has."""
    for words in values:
        some = [each for each in words if not all(each in other for other in values)]
        own = [each for each in words if sum(each in other for other in values) == 1]
        yield (own if len("-".join(some)) > _LONGEST_LABEL else []) or some or words


def _words(value: Any) -> list[str]:
    """Its words; those of a key or an option are one with a single value behind it."""
    found: list[str] = []
    match value:
        case dict():
            for key, below in value.items():
                is_more = isinstance(below, dict | list)
                found += [str(key), *_words(below)] if is_more else [" ".join(_leaves({key: below}))]
        case list() if any(isinstance(each, dict | list) for each in value):
            found = [word for below in value for word in _words(below)]
        case _:
            for word in " ".join(_leaves(value)).split():
                is_value = bool(found) and re.fullmatch("--[^ =]+", found[-1]) and not word.startswith("-")
                found = [*found[:-1], f"{found[-1]} {word}"] if is_value else [*found, word]
    return [name for word in found if (name := _safe_name(word))]


def _cut(words: list[str]) -> str:
    """As many of them as a label has room for."""
    label = words[0][:_LONGEST_LABEL] if words else ""
    for word in words[1:]:
        if len(label) + 1 + len(word) > _LONGEST_LABEL:
            break
        label = f"{label}-{word}"
    return label


def _safe_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.%+_-]+", "-", text).strip("-")


def _display(value: Any) -> str:
    return brief(value) if isinstance(value, str) else " ".join(_leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    """All keys and scalars of a value."""
    match value:
        case dict():
            for key, below in value.items():
                yield from (key, *_leaves(below))
        case list():
            for below in value:
                yield from _leaves(below)
        case _:
            yield "nothing" if value is None else str(value)
