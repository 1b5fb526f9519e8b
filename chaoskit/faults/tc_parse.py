"""Parses tc(8)'s netem syntax, `delay 80ms 20ms loss gemodel 1% 20%`, to an experiment's keys.

The meaning is that of tc (iproute2, tc/q_netem.c): its abbreviations, its defaults (`gemodel p` alone has r = 1-p),
its case-insensitive units, `kbps` of 1000 bytes a second and `kb` of 1024 bytes. These rules are stricter than tc's, so
that nothing is guessed:

* a quantity has its unit: tc takes `delay 100` for microseconds and `loss 1` for 1%
* an option is given once; in tc the last one wins
* numbers are decimal; tc also reads 0x10, 1e3 and inf

Where tc 6.1 deviates from its input, the text counts: tc truncates delays to 64 ns, supports none above 274 s, and
drops the correlation of a duplicate unless another option has one too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from chaoskit.units import Duration, Quantity, Rate, Share

_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([A-Za-z%/]*)")
# In tc's order: an abbreviation means the first one that starts with it.
_WORDS = (
    "limit", "latency", "delay", "loss", "drop", "ecn", "reorder", "corrupt", "gap", "duplicate", "distribution",
    "rate", "slot", "seed",
)  # fmt: skip
_TABLES = ("uniform", "normal", "pareto", "paretonormal")
_TIMES = {
    **dict.fromkeys(("s", "sec", "secs"), 10**9),
    **dict.fromkeys(("ms", "msec", "msecs"), 10**6),
    **dict.fromkeys(("us", "usec", "usecs"), 10**3),
    **dict.fromkeys(("ns", "nsec", "nsecs"), 1),
}
_PREFIXES = {
    "": 1,
    **{p: 1000**n for n, p in enumerate("kmgt", 1)},
    **{p + "i": 1024**n for n, p in enumerate("kmgt", 1)},
}
_RATES = {p + unit: size * bits for p, size in _PREFIXES.items() for unit, bits in (("bit", 1), ("bps", 8))}
_SIZES = {
    "": 1, "b": 1, "k": 2**10, "kb": 2**10, "m": 2**20, "mb": 2**20, "g": 2**30, "gb": 2**30,
    "kbit": 2**7, "mbit": 2**17, "gbit": 2**27,
}  # fmt: skip


def begins_netem(word: str) -> bool:
    """Whether netem's syntax can begin with this word, in full."""
    return word in _WORDS


def is_netem_word(word: str) -> bool:
    """Whether this word can stand in netem's syntax."""
    return word in (*_WORDS, *_TABLES, "random", "state", "gemodel") or _NUMBER.fullmatch(word) is not None


def is_netem(text: str) -> bool:
    """Whether the text is netem's syntax, and no part of it is missing."""
    try:
        parse_netem(text)
    except ValueError:
        return False
    return True


def parse_netem(text: str) -> dict[str, Any]:
    """The keys of an experiment file for `delay 80ms 20ms loss 1%`. Raises ValueError with the problem."""
    reader = _Reader(text.split())
    if not reader.rest:
        raise ValueError("empty; write for example delay 80ms 20ms loss 1%")
    words: dict[str, Any] = {}
    while reader.rest:
        written, word = reader.keyword()
        for key, value in _CLAUSES[word](reader).items():
            if key in words:
                raise ValueError(f"{written!r}: {key} is given twice; keep one")
            words[key] = value
    return _with_gap(words)


def _with_gap(words: dict[str, Any]) -> dict[str, Any]:
    """`gap` is an option of its own in tc, and may precede its `reorder`."""
    gap = words.pop("gap", None)
    if gap is None:
        return words
    if "reorder" not in words:
        raise ValueError(f"gap {gap} belongs to reorder; write reorder 25% gap {gap}")
    return words | {"reorder": {**words["reorder"], "gap": gap}}


class _Reader:
    """The unread words. `at` is the option that the next value belongs to, for messages."""

    def __init__(self, words: list[str]) -> None:
        self.rest = words[::-1]
        self.at = ""

    def keyword(self) -> tuple[str, str]:
        """The next option as written, and its full name."""
        written = self.rest.pop()
        for word in _WORDS:
            if word.startswith(written):
                self.at = word
                return written, word
        name, equals, value = written.partition("=")
        meant = " ".join((*((name, value) if equals else ()), *reversed(self.rest)))
        if is_netem(meant):
            raise ValueError(f"found {written!r}; write {meant}")
        if number := _NUMBER.fullmatch(written):
            word = "loss" if number[2] == "%" else "delay" if number[2].lower() in _TIMES else "rate"
            raise ValueError(f"found {written!r}, expected an option before it; write for example {word} {written}")
        near = difflib.get_close_matches(written, _WORDS[:-1], 1)
        hint = f"; did you mean {near[0]}?" if near else f", expected one of {', '.join(_WORDS[:-1])}"
        raise ValueError(f"found {written!r}{hint}")

    def next(self, expected: str) -> str:
        """The next word, whatever it is."""
        if not self.rest:
            raise ValueError(f"{self.at} ends too early; expected {expected} after it")
        return self.rest.pop()

    def follows(self, signs: str = "") -> bool:
        """Whether the next word is a number."""
        return bool(self.rest) and (self.rest[-1][0].isdecimal() or self.rest[-1][0] in signs)

    def time(self) -> str:
        return str(self._quantity(Duration, _TIMES, "a time", "ms"))

    def rate(self) -> str:
        text = self.rest[-1] if self.rest else ""
        if text.endswith("%"):
            raise ValueError(f"rate {text}: a share of the link speed is not supported; write the rate, such as 10mbit")
        return _exact(self._quantity(Rate, _RATES, "a rate", "mbit"))

    def share(self) -> str:
        return str(self._quantity(Share, {"%": 10**7}, "a share", "%"))

    def bytes(self) -> str:
        size = self._number(_SIZES, "a number of bytes")
        return f"{int(size)}B"

    def count(self, signs: str = "") -> int:
        text = self.next("a whole number")
        digits = text[1:] if text[:1] in ("+", *signs) else text
        if not (digits.isascii() and digits.isdecimal()) or (digits[0] == "0" and len(digits) > 1):
            raise ValueError(f"{self.at}: found {text!r}, expected a whole number")
        return int(text)

    def packets(self) -> int:
        """tc counts packets as it counts bytes: 1k are 1024."""
        return int(self._number(_SIZES, "a number of packets"))

    def table(self) -> str:
        name = self.next(f"one of {', '.join(_TABLES)}")
        if name not in _TABLES:
            raise ValueError(f"{self.at}: found {name!r}, expected one of {', '.join(_TABLES)}")
        return name

    def _quantity(self, kind: type[Quantity], scale: Mapping[str, int], noun: str, unit: str) -> Quantity:
        text = self.rest[-1] if self.rest else ""
        try:
            return kind.parse(int(self._number(scale, f"{noun} such as {kind.example}", unit).to_integral_value()))
        except ValueError as error:
            message = (
                str(error) if str(error).startswith(self.at) else f"{self.at}: {text!r} is out of range for {noun}"
            )
            raise ValueError(message) from None

    def _number(self, scale: Mapping[str, int], expected: str, unit: str = "") -> Decimal:
        """In base units."""
        text = self.next(expected)
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise ValueError(f"{self.at}: found {text!r}, expected {expected}")
        number, suffix = match.groups()
        if suffix.lower() in scale:
            return Decimal(number) * scale[suffix.lower()]
        if not suffix:
            raise ValueError(f"{self.at}: {text!r} has no unit; write {text}{unit}")
        raise ValueError(
            f"{self.at}: {text!r} has the unit {suffix!r}; expected one of {', '.join(filter(None, scale))}"
        )


def _exact(rate: Quantity) -> str:
    """As text without rounding: above a terabit the usual form is rounded, bits are not."""
    return str(rate) if Rate.parse(str(rate)) == rate else f"{int(rate)}bit"


def _delay(reader: _Reader) -> dict[str, Any]:
    words = {"delay": reader.time()}
    if reader.follows():
        words["jitter"] = reader.time()
        if reader.follows():
            words["correlation"] = reader.share()
    return words


def _loss(reader: _Reader) -> dict[str, Any]:
    model = reader.rest[-1] if reader.rest else ""
    if model in ("random", "state", "gemodel"):
        reader.rest.pop()
        reader.at = f"loss {model}"
    elif not reader.follows():
        found = f"found {model!r}, " if model else ""
        raise ValueError(f"loss: {found}expected a share such as 1%, random, state or gemodel")
    match model:
        case "state":
            return {"loss": {"state": _shares(reader, ("p13", "p31", "p32", "p23", "p14"))}}
        case "gemodel":
            return {"loss": {"gemodel": _shares(reader, ("p", "r", "loss-in-bad", "loss-in-good"))}}
        case _:
            return {"loss": _chance(reader)}


def _shares(reader: _Reader, names: tuple[str, ...]) -> dict[str, str]:
    """One to all of them; the second defaults to 100 % minus the first."""
    words = {names[0]: reader.share()}
    words[names[1]] = str(Share(Share.largest - Share.parse(words[names[0]])))
    for name in names[1:]:
        if not reader.follows():
            break
        words[name] = reader.share()
    return words


def _chance(reader: _Reader) -> dict[str, Any]:
    words = {"share": reader.share()}
    if reader.follows():
        words["correlation"] = reader.share()
    return words


def _rate(reader: _Reader) -> dict[str, Any]:
    words: dict[str, Any] = {"rate": reader.rate()}
    if reader.follows("-"):
        words["packet-overhead"] = reader.count("-")
    if reader.follows():
        words["cell-size"] = f"{reader.count()}B"
    if reader.follows("-"):
        words["cell-overhead"] = reader.count("-")
    return {"rate": words}


def _slot(reader: _Reader) -> dict[str, Any]:
    words: dict[str, Any]
    if reader.follows():
        words = {"min": reader.time()}
        if reader.follows():
            words["max"] = reader.time()
    else:
        found = reader.next("a time or distribution")
        if found != "distribution":
            raise ValueError(f"slot: found {found!r}, expected a time such as 50ms, or distribution")
        words = {"distribution": reader.table(), "delay": reader.time(), "jitter": reader.time()}
    if reader.rest and "packets".startswith(reader.rest[-1]):
        reader.rest.pop()
        words["packets"] = reader.count()
    if reader.rest and "bytes".startswith(reader.rest[-1]):
        reader.rest.pop()
        words["bytes"] = reader.bytes()
    return {"slot": words}


def _seed(_reader: _Reader) -> dict[str, Any]:
    raise ValueError("seed is not an option of a single netem here; it is given once for the experiment, as seed")


_CLAUSES: Mapping[str, Callable[[_Reader], dict[str, Any]]] = {
    "limit": lambda reader: {"limit": reader.packets()},
    "latency": _delay,
    "delay": _delay,
    "loss": _loss,
    "drop": _loss,
    "ecn": lambda _reader: {"ecn": True},
    "reorder": lambda reader: {"reorder": _chance(reader)},
    "corrupt": lambda reader: {"corrupt": _chance(reader)},
    "gap": lambda reader: {"gap": reader.count()},
    "duplicate": lambda reader: {"duplicate": _chance(reader)},
    "distribution": lambda reader: {"distribution": reader.table()},
    "rate": _rate,
    "slot": _slot,
    "seed": _seed,
}
