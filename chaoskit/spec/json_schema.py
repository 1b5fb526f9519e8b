"""Draws the JSON Schema of experiment files and suites, for editors.

It accepts what the loader accepts, as far as JSON Schema can say it.
An editor reads YAML 1.2, in which `http: 2` is a number and `model: on` a text; the loader takes every scalar as its
text. So a text may be a number here, and a choice of digits too. A number in quotes, which the loader reads, is refused
here, and so is a number such as `1_000`. What depends on two keys is left to the loader, unless it is their presence.
Defaults are written as in a file: `2s`.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from chaoskit import __version__
from chaoskit.faults.schema import SpecModel, text_of
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.suite import Suite
from chaoskit.units import Duration, Frequency, Quantity, Rate, Share, Size

DIALECT = "https://json-schema.org/draft/2020-12/schema"
QUANTITIES = {kind.noun for kind in (Duration, Rate, Size, Share, Frequency)}


def experiment_schema() -> dict[str, Any]:
    """The JSON Schema of an experiment file."""
    return _drawn(Experiment, "experiment")


def suite_schema() -> dict[str, Any]:
    """The JSON Schema of a suite file."""
    return _drawn(Suite, "suite")


def _drawn(model: type[SpecModel], noun: str) -> dict[str, Any]:
    drawn = model.model_json_schema(by_alias=True, schema_generator=_Drawer)
    units: dict[str, Any] = {}
    shared = {key: _shared(part, units) for key, part in drawn.items()}
    shared["$defs"] = {**units, **shared["$defs"]}
    return {"$schema": DIALECT, "$id": f"urn:chaoskit:{noun}:{__version__}", **shared, "title": f"chaoskit {noun}"}


def _shared(part: Any, units: dict[str, Any]) -> Any:
    """The same with a reference for each quantity, whose definitions are added to `units`."""
    match part:
        case {"title": str(noun), "pattern": _} if noun in QUANTITIES:
            own = {key: part[key] for key in ("type", "title", "pattern", "examples")}
            units[noun] = own
            return {"$ref": f"#/$defs/{noun}"} | {key: part[key] for key in part.keys() - own.keys()}
        case dict():
            return {key: _shared(below, units) for key, below in part.items()}
        case list():
            return [_shared(below, units) for below in part]
        case _:
            return part


class _Drawer(GenerateJsonSchema):
    """Draws with defaults in the words of a file, texts that may look like numbers, and names of phases and faults."""

    def encode_default(self, dft: Any) -> Any:
        """As in a file."""
        if isinstance(dft, Quantity):
            return dft.written()
        if isinstance(dft, SpecModel):
            return dft.written()
        return super().encode_default(dft)

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """Without a default that says nothing: null, or something empty."""
        drawn = super().default_schema(schema)
        if drawn.get("default") in (None, {}, []):
            drawn.pop("default", None)
        return drawn

    def field_title_should_be_set(self, schema: Any) -> bool:
        """The key is the title."""
        del schema
        return False

    def literal_schema(self, schema: Any) -> JsonSchemaValue:
        """A choice of digits may be a number."""
        drawn = super().literal_schema(schema)
        words = drawn.get("enum", [drawn.get("const")])
        numbers = [float(word) if "." in word else int(word) for word in words if word.replace(".", "").isdigit()]
        return {"enum": [*words, *numbers]} if numbers else drawn

    def str_schema(self, schema: Any) -> JsonSchemaValue:
        """A text may look like a number."""
        drawn = super().str_schema(schema)
        if "pattern" in drawn:
            return {**drawn, **text_of(drawn["pattern"].strip("^$"))}
        return {**drawn, "type": ["string", "number", "boolean"]}

    def dict_schema(self, schema: Any) -> JsonSchemaValue:
        """A pattern of keys allows no other key."""
        drawn = super().dict_schema(schema)
        patterns = drawn.pop("patternProperties", None)
        if patterns:
            ((pattern, values),) = patterns.items()
            drawn |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        return drawn
