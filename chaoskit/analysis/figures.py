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
    _number, space, name = last.partition(" ")
    if space and first.endswith(space + name):
        first = first.removesuffix(space + name)
    return f"{first} to {last}" if first.startswith("-") or last.startswith("-") else f"{first}–{last}"


def _time(ms: float) -> str:
    size = abs(ms)
    if size >= 100_000:
        return f"{ms / 1000:.0f} s"
    if size >= 999.5:
        return f"{ms / 1000:.3g} s"
    return f"{_digits(ms)} ms"


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    size = abs(value)
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.995:
        return f"{value:.1f}".removesuffix(".0")
    if size >= 0.9995:
        return f"{value:.2f}".removesuffix(".00")
    return f"{value:.2g}" if size >= 0.01 or not size else f"{value:.3f}".rstrip("0").rstrip(".") or "0"
