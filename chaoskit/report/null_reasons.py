"""Puts the reason beside each null of a JSON object, as `result.json` has it: `null_because`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.analysis.finite_json import NULL_BECAUSE


def explained(fields: Mapping[str, Any], reasons: Mapping[str, str]) -> dict[str, Any]:
    """The object with the reasons of its nulls; each key that may be null has one."""
    found = {name: reasons[name] for name, value in fields.items() if value is None}
    return {**fields, NULL_BECAUSE: found} if found else dict(fields)
