"""Reads the values of a sweep's axis as numbers of one unit, to draw metrics against them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chaoskit.units import Duration, Quantity, Rate, Share, Size

_NUMBER = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)[ -]?([A-Za-z%/]*)")
_KINDS: tuple[type[Quantity], ...] = (Duration, Size, Rate, Share)


@dataclass(frozen=True)
class Doses:
    """The values of the axis at this place, in the order of the points; `unit` is that of the first, or ""."""

    place: int
    numbers: tuple[float, ...]
    unit: str


def doses(points: Sequence[Sequence[str]]) -> Doses | None:
    """The doses of points with these values: those of the numeric axis with the most values; None without one."""
    columns = [list(column) for column in zip(*points, strict=True)]
    found = [
        (len(dict.fromkeys(numbers[0])), Doses(place, *numbers))
        for place, column in enumerate(columns)
        if (numbers := _numbers(column)) is not None
    ]
    count, most = max(found, key=lambda pair: pair[0], default=(0, None))
    return most if count > 1 else None


def _numbers(column: Sequence[str]) -> tuple[tuple[float, ...], str] | None:
    """The numbers of one axis, in the unit of the first that has one; None where one is no number of that kind."""
    read = [_NUMBER.fullmatch(text) for text in column]
    pairs = [(float(each[1]), each[2]) for each in read if each is not None]
    if len(pairs) < len(column):
        return None
    units = list(dict.fromkeys(unit for number, unit in pairs if unit or number))
    if len(units) < 2:
        return tuple(number for number, _ in pairs), units[0] if units else ""
    for kind in _KINDS:
        try:
            one = kind.parse(f"1{units[0]}")
            return tuple(kind.parse(f"{number:g}{unit or units[0]}") / one for number, unit in pairs), units[0]
        except ValueError:
            continue
    return None
