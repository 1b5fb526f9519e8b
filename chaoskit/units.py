"""Defines quantities: integers in a base unit inside, text with a unit in files and on screens.

| type        | inside                   | in a file                                  |
|-------------|--------------------------|--------------------------------------------|
| `Duration`  | nanoseconds              | `50ms` `1.5s` `200us` `2min` `1h30m`       |
| `Rate`      | bits per second          | `10mbit` `1.5gbit` `64kbit`                |
| `Size`      | bytes                    | `4kB` `64KiB` `1400B`                      |
| `Share`     | parts per billion        | `1%` `0.05%` `3ppm`                        |
| `Frequency` | events per 10^6 seconds  | `2/s` `30/min`                             |

This is the one grammar of quantities: files, options and the JSON Schema have it from here. A text is a decimal number
and a unit; a duration may also be several whole numbers with ever smaller units. `m` is a minute, as in Go, Kubernetes
and Prometheus: no quantity here has metres or millis that it could be taken for. A text without a unit is an error,
even for 0. Prefixes are decimal as in tc(8) and SI; binary ones are explicit (`KiB`). (tc's own syntax, `delay 200ms`,
keeps tc's units: `faults.tc_parse`.)

Each is an `int`, so that it can be compared, stored and sent as one; arithmetic gives plain integers.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, Self
from unicodedata import normalize

_MOST_DECIMALS = 20
_FRACTION = rf"\.[0-9]{{1,{_MOST_DECIMALS}}}"
_WRITTEN = re.compile(r"([+-]?)([0-9]*\.[0-9]+|[0-9]+)\s*([^\s0-9].*)?")
_EXPONENT = re.compile(r"([0-9]*\.?[0-9]+[eE][+-]?[0-9]{1,2})\s*([^\s0-9].*)?")
_COMMA = re.compile(r"\s*[0-9]+(?:,[0-9]+)+")
_THOUSANDS = re.compile(r"\s*[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])")
_PART = re.compile(rf"([0-9]*{_FRACTION}|[0-9]+)\s*([^\s0-9.]+)")
_PREFIXES = {"k": 10**3, "K": 10**3, "m": 10**6, "M": 10**6, "g": 10**9, "G": 10**9}


class Quantity(int):
    """An integer count of its base unit. Subclasses name the units; the largest one that fits prints."""

    noun: ClassVar[str]
    example: ClassVar[str]
    zero: ClassVar[str]  # the unit to print 0 with
    scale: ClassVar[dict[str, int]]  # unit -> how many base units it holds
    also: ClassVar[dict[str, int | Fraction]] = {}  # units that are read, and never printed
    meant: ClassVar[dict[str, tuple[int | Fraction, ...]]] = {}  # never read: other spellings -> what they may hold
    usual: ClassVar[tuple[str, ...]]  # the units that a number without one may have had in mind
    smallest: ClassVar[int] = 0
    largest: ClassVar[int] = 2**63 - 1

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """The quantity in `text`. An integer is taken as base units (a plan, a record).

        Raises ValueError with what was found and what was expected.
        """
        if isinstance(text, int) and not isinstance(text, bool):
            return cls._checked(text, str(text))
        if not isinstance(text, str) or not cls._is_read(text):
            raise ValueError(cls._why_not(text))
        units = cls.units()
        total = sum(Fraction(number) * units[unit] for number, unit in _PART.findall(text))
        return cls(max(round(total), cls.smallest))

    @classmethod
    def units(cls) -> dict[str, int | Fraction]:
        """Every unit that is read, with how many base units it holds."""
        return {**cls.scale, **cls.also}

    @classmethod
    def pattern(cls) -> str:
        """What is read, as a regular expression of Python and of ECMA-262, as JSON Schema has them."""
        return rf"^\s*(?:{'|'.join(cls._with_units())})\s*$"

    @classmethod
    def _with_units(cls) -> list[str]:
        """A pattern for every size of a unit, whose numbers are not above the largest."""
        return [rf"(?:{cls._number(size)})\s*(?:{units})" for size, units in cls._spellings()]

    @classmethod
    def _spellings(cls) -> list[tuple[int | Fraction, str]]:
        """Each size of a unit with the pattern of its names, from the largest on."""
        sizes: dict[int | Fraction, list[str]] = {}
        for unit, size in cls.units().items():
            sizes.setdefault(size, []).append(re.escape(unit))
        return [(size, "|".join(sizes[size])) for size in sorted(sizes, reverse=True)]

    @classmethod
    def _number(cls, size: int | Fraction) -> str:
        return rf"0*[0-9]{{1,{cls._digits(size)}}}(?:{_FRACTION})?|{_FRACTION}"

    @classmethod
    def _digits(cls, size: int | Fraction) -> int:
        """How many digits before the point are below the largest, whatever they are."""
        return math.floor(math.log10(cls.largest / size))

    @classmethod
    def _why_not(cls, text: object) -> str:
        """What is wrong with a text that is no quantity."""
        match = _WRITTEN.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            return f"{text!r} is not a {cls.noun}; {cls._write(text)}"
        sign, number, unit = match.groups()
        if unit is None:
            return f"{text!r} has no unit; {cls._write(*cls._with_usual_units(sign + number))}"
        if unit not in cls.units():
            return cls._why_not_unit(str(text), sign + number, unit)
        if sign == "+":
            return f"{text!r} has a sign; write {number}{unit}"
        if sign or not Fraction(number):
            least = f"0{cls.zero} or more" if cls.smallest == 0 else f"more than 0{cls.zero}"
            return f"{text!r} is too small; a {cls.noun} is {least}"
        if len(number.partition(".")[2]) > _MOST_DECIMALS:
            return f"{text!r} has more than {_MOST_DECIMALS} digits after the point; remove some"
        return f"{text!r} is too large; a {cls.noun} is {cls._most(unit)} or less"

    @classmethod
    def _why_not_unit(cls, text: str, number: str, unit: str) -> str:
        if exponent := _EXPONENT.fullmatch(text.strip()):
            plain = f"{Decimal(exponent[1]):f}"
            corrected = [plain + exponent[2]] if exponent[2] else cls._with_usual_units(plain)
            return f"{text!r} has an exponent; {cls._write(*corrected)}"
        if _COMMA.match(text):
            without = [text.replace(",", "")] if _THOUSANDS.match(text) else []
            return f"{text!r} has a comma; {cls._write(text.replace(',', '.', 1), *without)}"
        near = [hint for size in cls._sizes_meant(unit) if cls._is_read(hint := cls._spelled(number, size))]
        found = f"{text!r} has the unit {unit!r}, which is not a unit of a {cls.noun}"
        if not near:
            return f"{found} ({', '.join(dict.fromkeys(normalize('NFKC', name) for name in cls.units()))})"  # one µ
        return f"{found}; did you mean {' or, as tc(8) has it, '.join(near)}?"

    @classmethod
    def _sizes_meant(cls, unit: str) -> tuple[int | Fraction, ...]:
        """What a unit of another spelling may hold, in base units; empty when unknown."""
        if unit in cls.meant:
            return cls.meant[unit]
        folded = {name.lower(): sizes for name, sizes in cls.meant.items()}
        own = {name.lower(): (size,) for name, size in cls.units().items()}
        return own.get(unit.lower()) or folded.get(unit.lower(), ())

    @classmethod
    def _spelled(cls, number: str, size: int | Fraction) -> str:
        """So many times this size, if possible with the same number."""
        unit = next((name for name, held in cls.units().items() if held == size), None)
        return cls(round(Fraction(number) * size)).written() if unit is None else f"{number}{unit}"

    @classmethod
    def _with_usual_units(cls, number: str) -> list[str]:
        """What a number without a unit may have had in mind."""
        return [number + unit for unit in cls.usual]

    @classmethod
    def _write(cls, *corrected: object) -> str:
        """`write 20ms or 20s`: those that are read, or an example."""
        read = [str(each) for each in corrected if cls._is_read(each)]
        return f"write {' or '.join(read)}" if read else f"write for example {cls.example}"

    @classmethod
    def _is_read(cls, text: object) -> bool:
        return isinstance(text, str) and re.match(cls.pattern(), text) is not None

    @classmethod
    def _most(cls, unit: str) -> str:
        """The largest whole number with this unit."""
        return "9" * cls._digits(cls.units()[unit]) + unit

    @classmethod
    def _checked(cls, base_units: int, text: str) -> Self:
        if not cls.smallest <= base_units <= cls.largest:
            raise ValueError(f"{text} is out of range for a {cls.noun}: {int(cls.smallest)} to {int(cls.largest)}")
        return cls(base_units)

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
        return {"type": "string", "title": cls.noun, "pattern": cls.pattern(), "examples": [cls.example]}


class Duration(Quantity):
    """A length of time, in nanoseconds. Never negative."""

    noun = "duration"
    example = "50ms"
    zero = "s"
    scale: ClassVar[dict[str, int]] = {
        "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9,
    }  # fmt: skip
    also: ClassVar[dict[str, int | Fraction]] = {"m": 60 * 10**9, "µs": 10**3, "μs": 10**3}
    meant: ClassVar[dict[str, tuple[int | Fraction, ...]]] = {
        **dict.fromkeys(("nsec", "nsecs", "nanoseconds"), (1,)),
        **dict.fromkeys(("usec", "usecs", "microsecond", "microseconds", "micros"), (10**3,)),
        **dict.fromkeys(("msec", "msecs", "millisecond", "milliseconds", "millis", "milli"), (10**6,)),
        **dict.fromkeys(("sec", "secs", "second", "seconds"), (10**9,)),
        **dict.fromkeys(("mins", "minute", "minutes"), (60 * 10**9,)),
        **dict.fromkeys(("hr", "hrs", "hour", "hours"), (3600 * 10**9,)),
        **dict.fromkeys(("d", "day", "days"), (86_400 * 10**9,)),
    }
    usual = ("ms", "s")

    @classmethod
    def _why_not(cls, text: object) -> str:
        first = re.match(r"\s*[0-9.]+\s*([^\s0-9.]+)\s*[0-9]", text) if isinstance(text, str) else None
        if first and first[1] in cls.units():
            return f"{text!r} is not a {cls.noun}; write whole numbers, the largest unit first, for example 1h30min"
        return super()._why_not(text)

    @classmethod
    def _digits(cls, size: int | Fraction) -> int:
        """As `Quantity._digits`; one fewer for minutes, so that a sum of all units is not above the largest."""
        return super()._digits(size) - (size == cls.scale["min"])

    @classmethod
    def _with_units(cls) -> list[str]:
        """One number and its unit, or several whole numbers with ever smaller units: `1h30m`."""
        parts = (rf"(?:0*[0-9]{{1,{cls._digits(size)}}}\s*(?:{units})\s*)?" for size, units in cls._spellings())
        return [*super()._with_units(), f"(?=[0-9]){''.join(parts)}"]

    @property
    def seconds(self) -> float:
        """In seconds, for the few calls that take a float."""
        return self / 1e9

    @property
    def ms(self) -> float:
        """In milliseconds, for summaries."""
        return self / 1e6

    def in_one_unit(self) -> str:
        """In seconds or a part of one, as tc has it: `600s`."""
        unit, size = next(((u, s) for u, s in reversed(self.scale.items()) if s <= min(self, 10**9)), ("s", 10**9))
        return f"{_plain(Decimal(int(self)) / size)}{unit}"

    def parts(self) -> list[str]:
        """One number with its unit below two minutes; from there on whole numbers, the largest unit first."""
        if self < 120 * 10**9:
            return [self.in_one_unit()]
        found, rest = [], int(self)
        for unit, size in reversed(self.scale.items()):
            count, rest = divmod(rest, size)
            found += [f"{count}{unit}"] if count else []
        return found

    def spaced(self) -> str:
        """For people: `1 h 30 min`, `90 s`. Reads back as well."""
        return re.sub(r"([0-9])([a-z])", r"\1 \2", " ".join(self.parts()))

    def __str__(self) -> str:
        return "".join(self.parts())


class Rate(Quantity):
    """A data rate, in bits per second (tc's `kbit` is 1000 bit/s)."""

    noun = "rate"
    example = "10mbit"
    zero = "bit"
    scale: ClassVar[dict[str, int]] = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9, "tbit": 10**12}
    also: ClassVar[dict[str, int | Fraction]] = {
        "bit/s": 1, "kbit/s": 10**3, "Mbit": 10**6, "Mbit/s": 10**6, "mbit/s": 10**6,
        "Gbit": 10**9, "Gbit/s": 10**9, "gbit/s": 10**9, "Tbit": 10**12, "Tbit/s": 10**12, "tbit/s": 10**12,
    }  # fmt: skip
    meant: ClassVar[dict[str, tuple[int | Fraction, ...]]] = {
        **{p + unit: (size,) for p, size in _PREFIXES.items() for unit in ("", "b", "b/s", "bits", "bits/s", "Bit")},
        **{p + unit: (8 * size,) for p, size in _PREFIXES.items() for unit in ("B", "Bps", "B/s", "bytes", "bytes/s")},
        **{f"{p}i{unit}": (8 * 2**n,) for p, n in (("K", 10), ("M", 20), ("G", 30)) for unit in ("B", "B/s", "Bps")},
        # of bits, as most people have it; tc(8) has bytes
        **{p + "bps": (size, 8 * size) if p.islower() else (size,) for p, size in _PREFIXES.items()},
    }
    usual = ("kbit", "mbit")


class Size(Quantity):
    """A number of bytes."""

    noun = "size"
    example = "4kB"
    zero = "B"
    scale: ClassVar[dict[str, int]] = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
    also: ClassVar[dict[str, int | Fraction]] = {
        "bytes": 1, "KB": 10**3, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
    }  # fmt: skip
    meant: ClassVar[dict[str, tuple[int | Fraction, ...]]] = {
        **{p + unit: (size,) for p, size in _PREFIXES.items() for unit in ("", "b", "byte", "bytes", "Byte", "Bytes")},
        **{f"{p}byte{s}": (size,) for p, size in (("kilo", 10**3), ("mega", 10**6)) for s in ("", "s")}
        | {"byte": (1,)},
        **{f"{p}i": (2**n,) for p, n in (("K", 10), ("M", 20), ("G", 30))},
    }
    usual = ("B", "kB")


class Share(Quantity):
    """A part of a whole, in parts per billion: 1 % is 10_000_000. From 0 % to 100 %."""

    noun = "share"
    example = "1%"
    zero = "%"
    scale: ClassVar[dict[str, int]] = {"%": 10**7, "ppm": 10**3, "ppb": 1}
    meant: ClassVar[dict[str, tuple[int | Fraction, ...]]] = dict.fromkeys(
        ("%%", "pct", "percent", "per cent", "perc"), (10**7,)
    )
    usual = ("%",)
    largest = 10**9

    @classmethod
    def _with_usual_units(cls, number: str) -> list[str]:
        """As `Quantity._with_usual_units`; below 1 it may be a part of 1 as well."""
        is_part = "-" not in number and 0 < Fraction(number) < 1
        return super()._with_usual_units(number) + ([cls._spelled(number, 10**9)] if is_part else [])

    @classmethod
    def _number(cls, size: int | Fraction) -> str:
        """As `Quantity._number`, and exactly the whole."""
        return rf"{super()._number(size)}|0*1{'0' * cls._digits(size)}(?:\.0{{1,20}})?"

    @classmethod
    def _most(cls, unit: str) -> str:
        return f"{cls.largest // cls.scale[unit]}{unit}"

    @property
    def fraction(self) -> float:
        """Between 0 and 1."""
        return self / 1e9

    def __str__(self) -> str:
        return f"{_plain(Decimal(int(self)) / 10**7)}%"


class Frequency(Quantity):
    """How often something happens, in events per million seconds: `2/s` is 2_000_000. Never 0."""

    noun = "frequency"
    example = "2/s"
    zero = "/s"
    scale: ClassVar[dict[str, int]] = {"/s": 10**6}
    also: ClassVar[dict[str, int | Fraction]] = {
        "/min": Fraction(10**6, 60), "/m": Fraction(10**6, 60), "/h": Fraction(10**6, 3600),
        "Hz": 10**6,
    }  # fmt: skip
    meant: ClassVar[dict[str, tuple[int | Fraction, ...]]] = {
        **dict.fromkeys(("rps", "qps", "tps", "req/s", "reqs/s", "requests/s"), (10**6,)),
        **dict.fromkeys(("/sec", "/second", "per second", "ps", "s"), (10**6,)),
        **dict.fromkeys(("rpm", "/minute", "per minute"), (Fraction(10**6, 60),)),
        **dict.fromkeys(("/hour", "per hour"), (Fraction(10**6, 3600),)),
        "/ms": (10**9,),
    }
    usual = ("/s",)
    smallest = 1

    @classmethod
    def pattern(cls) -> str:
        """As `Quantity.pattern`, and some digit is not 0."""
        return super().pattern().replace("^", "^(?=.*[1-9])", 1)

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


def plural(number: float, noun: str) -> str:
    """The noun as it stands after this number: `stream` after 1, `streams` after any other."""
    return noun if number == 1 else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """The number with its noun: `1 stream`, `2 streams`."""
    return f"{number} {plural(number, noun)}"
