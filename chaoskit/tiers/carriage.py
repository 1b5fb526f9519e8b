"""Carries the class of a request in a header, or in a field of its body, and reads it there again.

| carried as                                                   | known by                                              |
|--------------------------------------------------------------|-------------------------------------------------------|
| header `x-llm-d-inference-objective`                         | llm-d's router                                        |
| field `service_tier`                                         | OpenAI's API, and those like it                       |
| field `priority`, an integer of which lower ones go first    | vLLM with `--scheduling-policy priority`              |
| any other                                                    | the user's own gateway                                |

Rules: what is read is looked up among the values that are sent, and anything else is no class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

OBJECTIVE_HEADER = "x-llm-d-inference-objective"
FORMER_OBJECTIVE_HEADER = "x-gateway-inference-objective"
TIER_FIELD = "service_tier"
PRIORITY_FIELD = "priority"


@dataclass(frozen=True)
class Carriage:
    """Where the class is written, and the value of each class. `name`: of a header in lower case, or keys by points."""

    place: Literal["header", "field"]
    name: str
    values: Mapping[str, str | int]

    def headers(self, traffic_class: str) -> dict[str, str]:
        """The header that says this class; none where a field does."""
        return {self.name: str(self.values[traffic_class])} if self.place == "header" else {}

    def fields(self, traffic_class: str) -> dict[str, Any]:
        """The fields of the body that say this class; none where a header does."""
        if self.place == "header":
            return {}
        found: Any = self.values[traffic_class]
        for key in reversed(self.name.split(".")):
            found = {key: found}
        return dict(found)

    def read(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> str | None:
        """The class of a request with these headers, by lower-case names, and this body; None: it says none."""
        said: object = headers.get(self.name) if self.place == "header" else _at(body, self.name)
        return next((each for each, value in self.values.items() if _is_same(said, value)), None)


def _at(body: Mapping[str, Any], name: str) -> object:
    found: object = body
    for key in name.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _is_same(said: object, value: str | int) -> bool:
    return type(said) in (str, int) and str(said) == str(value)
