"""Reads durations as nginx, HAProxy, Go programs and protobuf write them. Each raises SpecError."""

from __future__ import annotations

import re
from decimal import Decimal

from chaoskit.errors import SpecError
from chaoskit.units import Duration

_NS, _US, _MS, _S, _M, _H, _D = 1, 10**3, 10**6, 10**9, 60 * 10**9, 3600 * 10**9, 86_400 * 10**9
_NGINX = {"y": 365 * _D, "M": 30 * _D, "w": 7 * _D, "d": _D, "h": _H, "m": _M, "s": _S, "": _S, "ms": _MS}
_HAPROXY = {"us": _US, "ms": _MS, "": _MS, "s": _S, "m": _M, "h": _H, "d": _D}
_GO = {"ns": _NS, "us": _US, "µs": _US, "μs": _US, "ms": _MS, "s": _S, "m": _M, "h": _H, "d": _D}
_DIGITS = 15  # of a number; longer ones mean nothing


def nginx(words: str) -> Duration:
    """`60`, `60s`, `1h 30m` (https://nginx.org/en/docs/syntax.html); a number without a unit is in seconds."""
    return _sum(words.replace(" ", ""), r"([0-9]+)(ms|[yMwdhms]?)", _NGINX)


def haproxy(words: str) -> Duration:
    """`50000`, `50s` (section 2.5 of its manual); a number without a unit is in milliseconds."""
    return _sum(words, r"([0-9]+)(us|ms|[smhd]?)", _HAPROXY, is_one=True)


def go(words: str) -> Duration:
    """`1m30s`, `1.5h` (time.ParseDuration, and Caddy's `d`); `0` alone needs no unit."""
    return Duration(0) if words == "0" else _sum(words, r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|μs|ms|[smhd])", _GO)


def protobuf(words: str) -> Duration:
    """`15s`, `0.25s`: google.protobuf.Duration in JSON."""
    return _sum(words, r"([0-9]+(?:\.[0-9]+)?)(s)", _GO, is_one=True)


def seconds(words: str) -> Duration:
    """`600`, `0.5`: a number of seconds."""
    return _sum(words, r"([0-9]+(?:\.[0-9]+)?)()", {"": _S}, is_one=True)


def _sum(words: str, part: str, units: dict[str, int], is_one: bool = False) -> Duration:
    whole = part if is_one else f"(?:{part})+"
    if not re.fullmatch(whole, words) or re.search(rf"[0-9]{{{_DIGITS + 1}}}", words):
        raise SpecError(f"{words[:40]!r} is no duration")
    return Duration(sum(int(Decimal(number) * units[unit]) for number, unit in re.findall(part, words)))
