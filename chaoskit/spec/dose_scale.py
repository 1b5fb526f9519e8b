"""Defines the doses that a search may give to one path of an experiment file.

The ends are texts as they stand in a file: quantities of one kind (`0%` to `20%`), or plain numbers (`1500` to `576`).
Every dose is written in the unit of the ends. Doses are evenly apart, at most a fifth of the asked precision, and round
numbers; a path that takes whole numbers only has whole doses.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor, log10

from chaoskit.errors import SpecError
from chaoskit.units import Duration, Frequency, Quantity, Rate, Share, Size

_KINDS: tuple[type[Quantity], ...] = (Share, Duration, Rate, Size, Frequency)
_SUFFIX = re.compile(r"[^0-9.\s].*$")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_FINER = 5
"""Doses in the asked precision."""
_MOST_DOSES = 20_000
_CLOSE = 1e-9


@dataclass(frozen=True)
class DoseScale:
    """All doses of a path. `texts` are as they stand in a file; `scale` are the same from 0, the easy end, to 1."""

    path: str
    texts: tuple[str, ...]
    scale: tuple[float, ...]
    numbers: tuple[Fraction, ...]
    unit: str
    kind: type[Quantity] | None

    @property
    def goes_up(self) -> bool:
        """Whether a larger value is harder."""
        return self.numbers[-1] > self.numbers[0]

    def text(self, place: float) -> str:
        """The dose nearest to this place on the scale; the end where it lies beyond one."""
        return self.texts[min(range(len(self.scale)), key=lambda number: abs(self.scale[number] - place))]

    def easier(self, place: float) -> str:
        """The hardest dose that is not harder than this place."""
        return self.texts[max(0, bisect_right(self.scale, place + _CLOSE) - 1)]

    def harder(self, place: float) -> str:
        """The easiest dose that is not easier than this place."""
        return self.texts[min(len(self.scale) - 1, bisect_left(self.scale, place - _CLOSE))]

    def place(self, option: str, text: str) -> float:
        """Where a dose that an option gives lies on the scale. Raises SpecError unless it lies in the range."""
        try:
            number = _number(text, self.unit, self.kind)
        except ValueError as error:
            raise SpecError(f"--{option}: {error}") from None
        place = float((number - self.numbers[0]) / (self.numbers[-1] - self.numbers[0]))
        if not 0 <= place <= 1:
            raise SpecError(f"--{option}: {text} is not between {self.texts[0]} and {self.texts[-1]}")
        return place


def dose_scale(path: str, easy: str, hard: str, precision: float, takes: Callable[[str], bool]) -> DoseScale:
    """Those from `easy` to `hard`; `takes` says whether a text can stand at the path, for numbers that are not whole.

    `precision` is a part of the range. Raises SpecError.
    """
    kind = _kind(easy, hard)
    unit = "" if kind is None else _unit(kind, easy, hard)
    first, last = _number(easy, unit, kind), _number(hard, unit, kind)
    if first == last:
        raise SpecError(f"--from and --to are both {easy}; give two different doses")
    size = Fraction(kind.units()[unit]) if kind is not None else Fraction(1)
    middle = _plain((first + last) / 2 + Fraction(1, 2) * (((first + last) / 2).denominator == 1))
    is_whole = kind is None and "." not in easy + hard and not takes(middle)
    least = 1 / size if kind is not None else Fraction(1 if is_whole else 0)
    step = max(_round_number(abs(last - first) * Fraction(precision) / _FINER), least)
    count = abs(last - first) / step
    if count > _MOST_DOSES:
        raise SpecError(f"--precision: at most {_MOST_DOSES} doses are told apart; give a coarser one")
    low, high = min(first, last), max(first, last)
    inner = [number * step for number in range(floor(low / step) + 1, floor(high / step) + 1)]
    numbers = sorted({low, *inner, high}, reverse=last < first)
    scale = tuple(float((each - first) / (last - first)) for each in numbers)
    texts = tuple(f"{_plain(each)}{unit}" for each in numbers)
    if not takes(between := texts[len(texts) // 2]):
        raise SpecError(
            f"--vary {path}: it takes {easy} and {hard}, but not {between}, which is between them; compare separate "
            f"values with chaoskit sweep FILE --vary {path}={easy},{hard}"
        )
    return DoseScale(path, texts, scale, tuple(numbers), unit, kind)


def _kind(easy: str, hard: str) -> type[Quantity] | None:
    """What both are; None for plain numbers. Raises SpecError, with what is wrong."""
    if _NUMBER.fullmatch(easy) and _NUMBER.fullmatch(hard):
        return None
    kinds = [[kind for kind in _KINDS if _is_read(kind, text)] for text in (easy, hard)]
    if both := [kind for kind in kinds[0] if kind in kinds[1]]:
        return both[0]
    for option, text, found in (("from", easy, kinds[0]), ("to", hard, kinds[1])):
        if not found and not _NUMBER.fullmatch(text):
            raise SpecError(f"--{option}: {text!r} is no dose; write it as in the file, for example 5%, 80ms or 1400")
    raise SpecError(f"--from {easy} and --to {hard} are not of one kind; write both with the same unit")


def _is_read(kind: type[Quantity], text: str) -> bool:
    try:
        kind.parse(text)
    except ValueError:
        return False
    return True


def _unit(kind: type[Quantity], easy: str, hard: str) -> str:
    """That of the harder end, in which all doses are written; of the other one where that is 0."""
    text = hard if kind.parse(hard) else easy
    found = _SUFFIX.search(text)
    unit = found[0].strip() if found else ""
    return unit if unit in kind.units() else next(each for each, size in kind.scale.items() if size == 1)


def _number(text: str, unit: str, kind: type[Quantity] | None) -> Fraction:
    """Of this unit. Raises ValueError."""
    if kind is not None:
        return Fraction(int(kind.parse(text))) / kind.units()[unit]
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"found {text!r}, expected a number")
    return Fraction(text)


def _round_number(number: Fraction) -> Fraction:
    """The largest of 1, 2, 5, 10, ... and 0.5, 0.2, 0.1, ... that is not above it."""
    power = Fraction(10) ** floor(log10(number))
    return max((each * power for each in (1, 2, 5, 10) if each * power <= number), default=power / 2)


def _plain(number: Fraction) -> str:
    text = f"{Decimal(number.numerator) / Decimal(number.denominator):.9f}"
    return text.rstrip("0").rstrip(".")
