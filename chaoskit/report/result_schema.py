"""Draws the JSON Schema of `result.json`, with the definition of each key."""

from __future__ import annotations

from typing import Any

from chaoskit.analysis.finite_json import NULL_BECAUSE
from chaoskit.analysis.result import Result
from chaoskit.report.definitions import table

ID = "https://json-schema.org/draft/2020-12/schema"
_REASONS = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "For each key of this object that is null, why.",
}


def result_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    drawn = Result.model_json_schema()
    sentences = table()
    for part in (drawn, *drawn["$defs"].values()):
        for name, field in part.get("properties", {}).items():
            if field.get("type") == "number":
                field["type"] = ["number", "null"]  # null where it is infinite
            if name in sentences:
                field.setdefault("description", sentences[name])
        if "properties" in part:
            part["properties"][NULL_BECAUSE] = _REASONS
    for name in ("run", "vllm"):  # not part of the file
        del drawn["properties"][name]
    del drawn["$defs"]["VllmFigures"]
    return {"$schema": ID, **drawn}
