"""Defines what a file says about the spans that the programs on a request's way export."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from chaoskit.faults.schema import SpecModel
from chaoskit.records.spans import OPERATIONS, Operation, RetrievalOutcome
from chaoskit.telemetry.endpoint import DEFAULT_LISTEN
from chaoskit.telemetry.mapping import Rules, SpanMapping

_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+):([0-9]{1,5})")
_MOST_WILDCARDS = 8
_SHOWN = 60  # characters


def _listen(words: str) -> str:
    found = _LISTEN.fullmatch(words.strip())
    advice = f"write an address of this machine and a port, for example {DEFAULT_LISTEN}"
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError(f"found {words[:_SHOWN]!r}; {advice}")
    try:
        ip_address(found[1].strip("[]"))
    except ValueError:
        raise ValueError(f"{found[1]} is no address; {advice}") from None
    return words.strip()


Listen = Annotated[str, AfterValidator(_listen), Field(json_schema_extra={"pattern": f"^{_LISTEN.pattern}$"})]


def _pattern(words: str) -> str:
    name, equals, value = words.partition("=")
    if equals and (not name.strip() or not value.strip()):
        raise ValueError(f"found {words[:_SHOWN]!r}, expected the name of a span, or ATTRIBUTE=VALUE")
    if words.count("*") > _MOST_WILDCARDS:
        raise ValueError(f"more than {_MOST_WILDCARDS} times * in {words[:_SHOWN]!r}")
    return words


def _listed(words: Any) -> Any:
    return [words] if isinstance(words, str) else words


_Pattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_pattern)]
_Patterns = Annotated[
    tuple[_Pattern, ...],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    Field(min_length=1, max_length=100),
]
_Name = Annotated[str, Field(min_length=1, max_length=100)]


class SpanMap(SpecModel):
    """What spans are, by their name or an attribute, `*` for any text. Others are what the conventions say."""

    workflow: _Patterns | None = Field(None, description="All that is done for a request.")
    policy: _Patterns | None = Field(None, description="Checks of what is asked or answered.")
    retrieval: _Patterns | None = Field(None, description="Searches, such as `search *` or `db.system.name=qdrant`.")
    tool: _Patterns | None = Field(None, description="Calls of tools.")
    model: _Patterns | None = Field(None, description="Calls of a model.")
    other: _Patterns | None = Field(None, description="What is no hop, although the conventions would say so.")
    outcome: dict[RetrievalOutcome, _Patterns] = Field(
        default_factory=dict, description="How a retrieval ended: `{miss: rag.hits=0}`."
    )
    fallback: dict[_Name, _Patterns] = Field(
        default_factory=dict, description="What answered in place of a retrieval: `{no-context: rag.skipped=true}`."
    )
    calls: dict[_Name, _Patterns] = Field(
        default_factory=dict,
        description="Which host a hop asks, where its span has no `server.address`: `{vectors: search *}`.",
    )

    @property
    def mapping(self) -> SpanMapping:
        """As spans are read by it; operations are tried in the order of this class."""
        operations: list[tuple[Operation, tuple[str, ...]]] = [
            (operation, patterns) for operation in OPERATIONS if (patterns := getattr(self, operation)) is not None
        ]
        named = (Rules.of(each.items()) for each in (self.fallback, self.calls))
        return SpanMapping(Rules.of(operations), Rules.of(self.outcome.items()), *named)


class Telemetry(SpecModel):
    """The spans that programs export by OTLP/HTTP."""

    listen: Listen | None = Field(
        None,
        description=f"At a target: where its programs export to. Default: {DEFAULT_LISTEN}. In a lab, hosts know it.",
    )
    map: SpanMap = Field(SpanMap(), description="What spans are, where their attributes do not say it.")

    @property
    def address(self) -> str:
        """Where it listens, as programs are told it."""
        return self.listen or DEFAULT_LISTEN
