"""Draws the JSON Schemas of `result.json` and of a comparison, with the definition of each key."""

from __future__ import annotations

from typing import Any

from chaoskit.analysis.finite_json import NULL_BECAUSE, FiniteJson
from chaoskit.analysis.result import Result
from chaoskit.analysis.run_comparison.result import RunComparison
from chaoskit.report.definitions import table

ID = "https://json-schema.org/draft/2020-12/schema"
_REASONS = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "For each key of this object that is null, why.",
}


def result_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    found = _drawn(Result)
    for name in ("run", "vllm"):  # not part of the file
        del found["properties"][name]
    del found["$defs"]["VllmFigures"]
    return found


def comparison_schema() -> dict[str, Any]:
    """The schema of what `chaoskit compare --format json` prints, draft 2020-12."""
    return _drawn(RunComparison)


def _drawn(model: type[FiniteJson]) -> dict[str, Any]:
    """That of any document whose numbers are finite, with the definition of each key."""
    found = model.model_json_schema()
    sentences = table()
    for part in (found, *found["$defs"].values()):
        for name, field in part.get("properties", {}).items():
            if field.get("type") == "number":
                field["type"] = ["number", "null"]  # null where it is infinite
            if name in sentences:
                field.setdefault("description", sentences[name])
        if "properties" in part:
            part["properties"][NULL_BECAUSE] = _REASONS
    return {"$schema": ID, **found}
