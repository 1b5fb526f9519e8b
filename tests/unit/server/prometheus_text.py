"""Reads Prometheus' text format, as far as tests need it."""

from __future__ import annotations

import re

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})? (\S+)")
_OWN = re.compile(r'(?:engine|model_name|gpu)="[^"]*",?')


def samples(page: str) -> dict[str, float]:
    """By name, and by labels other than those that all samples have."""
    found = {}
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        assert match is not None, line
        labels = _OWN.sub("", match[2] or "").strip(",")
        found[f"{match[1]}{{{labels}}}" if labels else match[1]] = float(match[3])
    return found
