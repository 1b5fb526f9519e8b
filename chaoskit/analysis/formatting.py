"""Numbers as people read them: few digits, a unit, `never` for what did not come."""

from __future__ import annotations

import math

from chaoskit.analysis.result import Unit

MISSING = "–"


def said(value: float | None, unit: Unit) -> str:
    """One number with its unit: `1.31 s`, `2.4 %`, `never`; a dash for a missing one."""
    if value is None:
        return MISSING
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
            return f"{value:.0f}"
        case "bytes":
            return f"{value:.0f} bytes"


def between(low: float | None, high: float | None, unit: Unit) -> str:
    """An interval: `0.98–1.6 s`, `at least 0.98 s` where it has no upper end."""
    open_low, open_high = low is None or math.isinf(low), high is None or math.isinf(high)
    if open_high and (open_low or low == 0):
        return "anything"
    if open_high:
        return f"at least {said(low, unit)}"
    if open_low:
        return f"at most {said(high, unit)}"
    first, last = said(low, unit), said(high, unit)
    name = last.lstrip("-0123456789.")
    if first.lstrip("-0123456789.") == name:
        first = first.removesuffix(name)
    return first + (" to " if "-" in first + last else "–") + last


def _time(ms: float) -> str:
    return f"{_digits(ms / 1000)} s" if abs(ms) >= 999.5 else f"{_digits(ms)} ms"


def _digits(value: float) -> str:
    """Three significant digits, two below 1, without an exponent or trailing zeros."""
    size = abs(value)
    places = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.0995 else 3
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text
