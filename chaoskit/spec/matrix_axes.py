"""The keys of a matrix: where in the file each leads, by which values it is varied, what these are called.

Raises ValueError inside, for one key; `axes` makes of all of them one SpecError, a line for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from chaoskit.errors import SpecError
from chaoskit.faults.schema import suggestion
from chaoskit.spec.diagnostics import show
from chaoskit.spec.load import Document, Where, dotted

MATRIX = "matrix"
MOST = 64
_FIXED = ("name", "question", MATRIX)
_LONGEST_LABEL, _LONGEST_NAME = 40, 120
_EXAMPLE = "write for example workload.prompt-size: [1kB, 16kB]"


@dataclass(frozen=True)
class Axis:
    """One key of a matrix. `tail` and `labels` are what it and its values are called in a variant's name."""

    key: str
    where: Where
    tail: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]


def axes(told: Document) -> tuple[Axis, ...]:
    """The matrix of a file that has one. Raises SpecError with one line for each key that is wrong."""
    matrix = told.words[MATRIX]
    if not isinstance(matrix, dict) or not matrix:
        raise told.wrong(f"found {show(matrix)}, expected paths with lists of values; {_EXAMPLE}", (MATRIX,))
    complaints: list[str] = []
    found: dict[str, Where] = {}
    for key, values in matrix.items():
        try:
            where = _place(key, told.words)
            _check(key, values)
            _apart(key, where, found)
            found[key] = where
        except ValueError as error:
            complaints.append(str(told.wrong(str(error), (MATRIX, key))))
    if complaints:
        raise SpecError("\n".join(complaints))
    counts = [len(values) for values in matrix.values()]
    if prod(counts) > MOST:
        total = " x ".join(map(str, counts)) + (f" = {prod(counts)}" if len(counts) > 1 else "")
        raise told.wrong(f"{total} variants, and {MOST} are the most; take some values away", (MATRIX,))
    return tuple(
        Axis(key, where, tail, tuple(matrix[key]), _labels(matrix[key]))
        for (key, where), tail in zip(found.items(), _tails(list(found.values())), strict=True)
    )


def name_of(axes: tuple[Axis, ...], places: tuple[int, ...], number: int) -> str:
    """`prompt-size=4kB,loss=1%`: safe as a folder's name. One that is too long is cut, and has its number."""
    pairs = zip(axes, places, strict=True)
    name = ",".join(f"{axis.tail}={axis.labels[place]}" for axis, place in pairs)
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}~{number}"


def _place(key: str, words: dict[str, Any]) -> Where:
    """Where in the file this dotted path leads, whether something stands there or not."""
    where: Where = ()
    part: Any = words
    steps = key.split(".")
    if steps[0] in _FIXED:
        raise ValueError(f"{steps[0]} cannot be varied; {_EXAMPLE}")
    while steps:
        step, *steps = [".".join(steps)] if where and where[-1] == "sysctl" else steps
        match part:
            case list():
                if not (step.isdecimal() and int(step) < len(part)):
                    raise ValueError(_counted(part, where, [step, *steps]))
                where, part = (*where, int(step)), part[int(step)]
            case dict():
                step = _spelled(step, part)
                if where == ("faults",) and step not in part:
                    raise ValueError(f"no fault is called {step!r}; {suggestion(step, part)}")
                where, part = (*where, step), {} if part.get(step) is None else part[step]
            case _:
                raise ValueError(
                    f"{dotted(where)} is {_said(part)} in this file, with nothing below it; write it there as keys, "
                    f"or vary {dotted(where)} itself"
                )
    return where


def _counted(part: list[Any], where: Where, steps: list[str]) -> str:
    """What to write where a list wants a number."""
    at = next((at for at, each in enumerate(part) if isinstance(each, dict) and steps[0] in each), 0)
    rest = steps[1:] if steps[0].isdecimal() else steps
    right = dotted((*where, at, *rest))
    return f"{dotted(where)} is a list of {len(part)} in this file, counted from 0; write for example {right}"


def _spelled(step: str, part: dict[str, Any]) -> str:
    """The key as the file has it: - and _ are the same, as in all of an author's words."""
    if step in part:
        return step
    return next((key for key in part if key.replace("_", "-") == step.replace("_", "-")), step)


def _check(key: str, values: Any) -> None:
    """Different values in a list, or ValueError."""
    if isinstance(values, dict):
        below = next(iter(values), "...")
        raise ValueError(f"found {show(values)}, expected a list; write the whole path as one key, {key}.{below}")
    if not isinstance(values, list) or not values:
        raise ValueError(f"found {show(values)}, expected a list of values, for example [{values or 1}, ...]")
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{_said(value)} is given twice; keep one")


def _apart(key: str, where: Where, others: dict[str, Where]) -> None:
    """Raises ValueError where two keys would vary the same words."""
    for other, place in others.items():
        shorter = min(len(where), len(place))
        if where[:shorter] == place[:shorter]:
            raise ValueError(f"varies what {other} varies; keep one of them")


def _tails(places: list[Where]) -> list[str]:
    """Of each path the shortest end that no other has, and of a long one its first and its last word."""
    pieces = [dotted(where).split(".") for where in places]
    ends = [_end(each, [other for other in pieces if other is not each]) for each in pieces]
    short = [(end[0], end[-1]) if len(end) > 1 else (end[0],) for end in ends]
    return [_safe(".".join(brief if short.count(brief) == 1 else end)) for end, brief in zip(ends, short, strict=True)]


def _end(own: list[str], others: list[list[str]]) -> list[str]:
    """It begins with a word: numbers say little by themselves."""
    ends = (own[begin:] for begin in range(len(own) - 1, 0, -1) if not own[begin].isdecimal())
    return next((end for end in ends if all(other[-len(end) :] != end for other in others)), own)


def _labels(values: list[Any]) -> tuple[str, ...]:
    """What the values are called; those that would be called the same are told apart by their number."""
    labels = [_safe(" ".join(_leaves(value)))[:_LONGEST_LABEL] for value in values]
    return tuple(
        label if label and labels.count(label) == 1 else f"{label}~{number}" for number, label in enumerate(labels, 1)
    )


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.%+_-]+", "-", text).strip("-")


def _said(value: Any) -> str:
    return show(value) if isinstance(value, str) else " ".join(_leaves(value))


def _leaves(value: Any) -> Iterator[str]:
    """All the words of a value."""
    match value:
        case dict():
            for key, below in value.items():
                yield from (key, *_leaves(below))
        case list():
            for below in value:
                yield from _leaves(below)
        case _:
            yield "nothing" if value is None else str(value)
