"""Writes infinite numbers of a model as null in JSON, with the reason beside them; and reads them.

    {"p50_ms": 180.2, "p99_ms": null, "null_because": {"p99_ms": "never reached within 30 s by 12 of 200"}}

Infinity means that something was never reached, or that an interval has no end on that side. JSON has no such number,
and a word in its place would be taken for a value. `why_missing` of a model has the reasons for values that are None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator

NULL_BECAUSE = "null_because"
NEVER = "never reached"
NO_LOWER_END, NO_UPPER_END = "no lower end", "no upper end"
_INFINITE = {NO_UPPER_END: math.inf, NO_LOWER_END: -math.inf}


class FiniteJson(BaseModel):
    """A frozen model whose JSON has finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    why_missing: ClassVar[Mapping[str, str]] = {}
    shown_by: ClassVar[tuple[str, ...]] = ()
    """The attributes in its `repr`, where all of them would fill a screen many times."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if any(isinstance(value, float) and math.isnan(value) for value in data.values()):
            raise ValueError("a missing value is null, never NaN")
        reasons = data.get(NULL_BECAUSE)
        if not isinstance(reasons, dict):
            return data
        infinite = {name: _INFINITE[reason] for name, reason in reasons.items() if reason in _INFINITE}
        infinite |= {name: math.inf for name, reason in reasons.items() if str(reason).startswith(NEVER)}
        return {name: value for name, value in data.items() if name != NULL_BECAUSE} | infinite

    @model_serializer(mode="wrap", when_used="json")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = write(self)
        infinite = {name: value for name, value in self if isinstance(value, float) and math.isinf(value)}
        reasons = {name: self.why_infinite(name, value) for name, value in infinite.items()}
        reasons |= {name: why for name, why in self.why_missing.items() if getattr(self, name) is None}
        return data | dict.fromkeys(reasons) | {NULL_BECAUSE: reasons} if reasons else data

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, getattr(self, name)) for name in self.shown_by] or super().__repr_args__()

    def why_infinite(self, name: str, value: float) -> str:
        """Why a value is written as null; it begins with one of the words above."""
        if value < 0:
            return NO_LOWER_END
        return NO_UPPER_END if name == "high" else NEVER
