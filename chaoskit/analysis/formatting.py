"""Formats numbers for people: three digits, a unit, `never` for what did not arrive."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chaoskit.units import Duration, counted

if TYPE_CHECKING:
    from chaoskit.analysis.result import FidelityKind, Unit

_SECOND = 10**9
NO_VALUE = "–"
ANYTHING = "anything"  # of an interval that excludes nothing
FIDELITY_LABELS: dict[FidelityKind, str] = {
    "loss": "loss",
    "round-trip": "round trip",
    "rate": "rate",
    "duplicate": "duplicate",
    "reorder": "reorder",
    "corrupt": "corrupt",
    "jitter": "jitter",
    "slot": "slot",
    "ecn": "ECN",
    "oversized": "oversized",
    "lost": "lost",
    "icmp-sent": "ICMP sent",
    "icmp-lost": "ICMP lost",
    "mss": "MSS",
    "mtu": "MTU",
    "cut": "cut",
    "idle-timeout": "idle timeout",
    "process": "state",
}


def format_value(value: float | None, unit: Unit) -> str:
    """One number with its unit: `1.31 s`, `2.4 %`, `never`; a dash for a missing one."""
    if value is None:
        return NO_VALUE
    if math.isinf(value):
        return "never" if unit == "ms" else "∞"
    match unit:
        case "ms":
            return _time(value)
        case "share":
            return f"{_digits(value * 100)} %"
        case "per-minute":
            return f"{_digits(value)}/min"
        case "per-second":
            return f"{_digits(value)}/s"
        case "ratio":
            return f"{_digits(value)}×"
        case "count":
            return _rounded(value, 0)
        case "bytes":
            return f"{_rounded(value, 0)} bytes"
        case "bit-per-second":
            return _rate(value)


def format_level(tail: float) -> str:
    """How sure an interval is that leaves this probability beyond each end: `95 %`."""
    return f"{100 - 200 * tail:.3g} %"


def format_interval(low: float | None, high: float | None, unit: Unit) -> str:
    """An interval: `0.98–1.6 s`, `at least 0.98 s` where it has no upper end."""
    low_is_open, high_is_open = low is None or math.isinf(low), high is None or math.isinf(high)
    low_is_open |= unit == "ratio" and low == 0  # of a reference whose own end is open
    if high_is_open and (low_is_open or low == 0):
        return ANYTHING
    if high_is_open:
        return f"at least {format_value(low, unit)}"
    if low_is_open:
        return f"at most {format_value(high, unit)}"
    first, last = format_value(low, unit), format_value(high, unit)
    name = last.lstrip("-0123456789.")
    if first.lstrip("-0123456789.") == name:
        first = first.removesuffix(name)
    return first + (" to " if "-" in first + last else "–") + last


def format_change(value: float, unit: Unit) -> str:
    """A difference, with its sign: `+57 ms`, `-3.5/s`, `0 ms`; of shares in percentage points, `+2 pp`."""
    text, nothing = format_value(value, unit), format_value(0.0, unit)
    if unit == "share":
        text, nothing = (each.replace("%", "pp") for each in (text, nothing))
    return text if text.startswith("-") or text == nothing else f"+{text}"


def format_change_interval(low: float | None, high: float | None, unit: Unit) -> str:
    """The interval of a difference: `-29 to +19 ms`, `-29 ms or more`; nothing where it may be anything."""
    low_is_open, high_is_open = low is None or math.isinf(low), high is None or math.isinf(high)
    if low_is_open or high_is_open:
        end, word = (low, "more") if high_is_open else (high, "less")
        return "" if end is None or math.isinf(end) else f"{format_change(end, unit)} or {word}"
    assert low is not None
    assert high is not None
    first, last = format_change(low, unit), format_change(high, unit)
    name = last.lstrip("+-0123456789.")
    return f"{first.removesuffix(name) if first.lstrip('+-0123456789.') == name else first} to {last}"


def whole_seconds(span: int) -> str:
    """A time in ns that has passed, or is to pass, in the notation of planned ones: `43 s`, `4 min 7 s`."""
    return Duration(round(span / _SECOND) * _SECOND).spaced()


def _time(ms: float) -> str:
    """In the largest unit that leaves a number below 1000; in hours from two hours on."""
    for unit, size, until in (("ms", 1, 999.5), ("s", 1000, 999.5), ("min", 60_000, 119.5)):
        if abs(ms) / size < until:
            return f"{_digits(ms / size)} {unit}"
    return f"{_digits(ms / 3_600_000)} h"


def _rate(bits: float) -> str:
    """In the largest unit that leaves a number of at least 1."""
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if abs(bits) >= 0.9995 * size:
            return f"{_digits(bits / size)} {unit}"
    return f"{_digits(bits)} bit/s"


def _digits(value: float) -> str:
    """Three significant digits, two below 1, without an exponent or trailing zeros."""
    size = abs(value)
    return _rounded(value, 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.0995 else 3)


def _rounded(value: float, places: int) -> str:
    """Without trailing zeros, and without the sign of a number that is 0 when rounded."""
    text = f"{value:.{places}f}"
    text = text.rstrip("0").rstrip(".") if places else text
    return "0" if text == "-0" else text


def about(number: int, noun: str) -> str:
    """An estimate with its noun, rounded up to two significant digits: `about 17000 streams` for 16697."""
    step = 10 ** max(0, len(str(number)) - 2)
    return f"about {counted(-(-number // step) * step, noun)}"
