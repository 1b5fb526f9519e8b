"""Defines quantities: integers in a base unit inside, text with a unit in files and on screens.

| type        | inside                   | in a file                      |
|-------------|--------------------------|--------------------------------|
| `Duration`  | nanoseconds              | `50ms` `1.5s` `200us` `2min`   |
| `Rate`      | bits per second          | `10mbit` `1.5gbit` `64kbit`    |
| `Size`      | bytes                    | `4kB` `64KiB` `1400B`          |
| `Share`     | parts per billion        | `1%` `0.05%` `3ppm`            |
| `Frequency` | events per 10^6 seconds  | `2/s` `30/min`                 |

Each is an `int`, so that it can be compared, stored and sent as one; arithmetic gives plain integers. A text without a
unit is an error, even for 0. Prefixes are decimal as in tc(8) and SI; binary ones are explicit (`KiB`).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Self

_TEXT = re.compile(r"^\s*([+-]?[0-9][0-9_]*(?:\.[0-9]+)?|[+-]?\.[0-9]+)\s*([^\s\d].*?)?\s*$")


class Quantity(int):
    """An integer count of its base unit. Subclasses name the units; the first one of a scale prints."""

    noun: ClassVar[str]
    example: ClassVar[str]
    zero: ClassVar[str]  # the unit to print 0 with
    scale: ClassVar[dict[str, int]]  # unit -> how many base units it holds; printing picks the largest that fits
    synonyms: ClassVar[dict[str, str]] = {}
    smallest: ClassVar[int] = 0
    largest: ClassVar[int] = 2**63 - 1

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """The quantity in `text`. An integer is taken as base units (a plan, a record).

        Raises ValueError with what was found and what was expected.
        """
        if isinstance(text, int) and not isinstance(text, bool):
            return cls._checked(Decimal(text), str(text))
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is not a {cls.noun}; write for example {cls.example}")
        match = _TEXT.match(text)
        if match is None:
            raise ValueError(f"{text!r} is not a {cls.noun}; write for example {cls.example}")
        number, unit = match.groups()
        if unit is None:
            raise ValueError(f"{text!r} has no unit; write for example {cls.example}")
        unit = cls.synonyms.get(unit, unit)
        if unit not in cls.scale:
            known = ", ".join(cls.scale)
            raise ValueError(f"{text!r} has the unit {unit!r}, which is not a unit of a {cls.noun} ({known})")
        try:
            return cls._checked(Decimal(number.replace("_", "")) * cls.scale[unit], text)
        except InvalidOperation:
            raise ValueError(f"{text!r} is not a {cls.noun}; write for example {cls.example}") from None

    @classmethod
    def _checked(cls, base_units: Decimal, text: str) -> Self:
        if base_units < cls.smallest:
            raise ValueError(f"{text!r} is below {cls(cls.smallest)}, the least a {cls.noun} can be here")
        if base_units > cls.largest:
            raise ValueError(f"{text!r} is above {cls(cls.largest)}, the most a {cls.noun} can be here")
        return cls(int(base_units.to_integral_value()))

    def written(self) -> str:
        """As `str`, with enough digits to parse to the same value."""
        if self.parse(str(self)) == self:
            return str(self)
        return f"{int(self)}{next(unit for unit, size in self.scale.items() if size == 1)}"

    def __str__(self) -> str:
        for unit, size in sorted(self.scale.items(), key=lambda item: -item[1]):
            if abs(self) >= size:
                return f"{_plain(Decimal(int(self)) / size)}{unit}"
        return f"0{self.zero}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({int(self)})"

    # pydantic reads these two by name; they need nothing of it, a core schema is a plain dict.
    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> dict[str, Any]:
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": cls.parse},
            "serialization": {"type": "function-plain", "function": int},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: Any, _handler: Any) -> dict[str, Any]:
        units = "|".join(re.escape(unit) for unit in [*cls.scale, *cls.synonyms])
        return {
            "type": "string",
            "title": cls.noun,
            "pattern": rf"^\s*[0-9_]*\.?[0-9]+\s*({units})\s*$",
            "examples": [cls.example],
        }


class Duration(Quantity):
    """A length of time, in nanoseconds. Never negative."""

    noun = "duration"
    example = "50ms"
    zero = "s"
    scale: ClassVar[dict[str, int]] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
    synonyms: ClassVar[dict[str, str]] = {"µs": "us", "sec": "s", "m": "min", "usec": "us", "msec": "ms"}

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """As `Quantity.parse`; minutes and hours are read, and printed as seconds."""
        if isinstance(text, str):
            match = _TEXT.match(text)
            minutes = {"min": 60, "h": 3600}.get(match.group(2) or "") if match else None
            if match and minutes:
                return cls._checked(Decimal(match.group(1).replace("_", "")) * minutes * 10**9, text)
        return super().parse(text)

    @property
    def seconds(self) -> float:
        """In seconds, for the few calls that take a float."""
        return self / 1e9

    @property
    def ms(self) -> float:
        """In milliseconds, for summaries."""
        return self / 1e6


class Rate(Quantity):
    """A data rate, in bits per second (tc's `kbit` is 1000 bit/s)."""

    noun = "rate"
    example = "10mbit"
    zero = "bit"
    scale: ClassVar[dict[str, int]] = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9, "tbit": 10**12}
    synonyms: ClassVar[dict[str, str]] = {
        "bit/s": "bit", "kbit/s": "kbit", "Mbit": "mbit", "Mbit/s": "mbit", "mbit/s": "mbit",
        "Gbit": "gbit", "Gbit/s": "gbit", "gbit/s": "gbit",
    }  # fmt: skip
    smallest = 0


class Size(Quantity):
    """A number of bytes."""

    noun = "size"
    example = "4kB"
    zero = "B"
    scale: ClassVar[dict[str, int]] = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
    synonyms: ClassVar[dict[str, str]] = {"KB": "kB", "bytes": "B"}

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """As `Quantity.parse`; `KiB` and `MiB` are read, and printed in decimal units."""
        if isinstance(text, str):
            match = _TEXT.match(text)
            binary = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}.get(match.group(2) or "") if match else None
            if match and binary:
                return cls._checked(Decimal(match.group(1).replace("_", "")) * binary, text)
        return super().parse(text)


class Share(Quantity):
    """A part of a whole, in parts per billion: 1 % is 10_000_000. From 0 % to 100 %."""

    noun = "share"
    example = "1%"
    zero = "%"
    scale: ClassVar[dict[str, int]] = {"%": 10**7, "ppm": 10**3, "ppb": 1}
    largest = 10**9

    @property
    def fraction(self) -> float:
        """Between 0 and 1."""
        return self / 1e9

    def __str__(self) -> str:
        return f"{_plain(Decimal(int(self)) / 10**7)}%"


class Frequency(Quantity):
    """How often something happens, in events per million seconds: `2/s` is 2_000_000."""

    noun = "frequency"
    example = "2/s"
    zero = "/s"
    scale: ClassVar[dict[str, int]] = {"/s": 10**6}
    synonyms: ClassVar[dict[str, str]] = {"per second": "/s", "Hz": "/s"}
    smallest = 1

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """As `Quantity.parse`; `/min` and `/h` are read, and printed per second."""
        if isinstance(text, str):
            match = _TEXT.match(text)
            seconds = {"/min": 60, "/h": 3600}.get(match.group(2) or "") if match else None
            if match and seconds:
                return cls._checked(Decimal(match.group(1).replace("_", "")) * 10**6 / seconds, text)
        return super().parse(text)

    @property
    def per_second(self) -> float:
        """In events per second."""
        return self / 1e6

    def __str__(self) -> str:
        return f"{_plain(Decimal(int(self)) / 10**6)}/s"


def _plain(number: Decimal) -> str:
    """Exact to nine decimals, without an exponent or trailing zeros."""
    text = f"{number:.9f}".rstrip("0").rstrip(".")
    return text or "0"
