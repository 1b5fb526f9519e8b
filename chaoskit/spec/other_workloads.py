"""Defines further workloads of a lab: other clients, whose requests share its links."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from chaoskit.faults.schema import exactly_one
from chaoskit.spec.classes import ClassName
from chaoskit.spec.objectives import SURGE, Objective, parse, pattern
from chaoskit.spec.stage import lab_target
from chaoskit.spec.workload import ARRIVALS, Workload


def _objective(words: Any, info: ValidationInfo) -> Any:
    if not isinstance(words, str | Objective):
        raise ValueError(f"an objective is a sentence; write {_as_sentence(words)}")
    if isinstance(words, Objective):
        return words
    disturbed = (span.name for span in info.data.get("timeline", ()) if span.faults or span.demand != 1)
    return parse(words, next(disturbed, SURGE))


def _as_sentence(words: Any) -> str:
    """What `{ttft_p95: 800ms}` and `ttft_p95: < 800ms` mean; an example for all else."""
    match words:
        case {**pairs} if len(pairs) == 1 and isinstance(bound := next(iter(pairs.values())), str):
            return f"{next(iter(pairs))} {bound if bound.startswith(('<', '>')) else f'< {bound}'}"
        case _:
            return "for example ttft_p95 < 800ms"


_Sentence = Annotated[str, Field(json_schema_extra={"type": "string", "pattern": pattern()})]
WrittenObjective = Annotated[Objective, BeforeValidator(_objective, json_schema_input_type=_Sentence)]


class OtherWorkload(Workload):
    """Requests of another client on the client's host, with a target and objectives of their own."""

    model_config = exactly_one(*ARRIVALS)

    target: Annotated[str, AfterValidator(lab_target)] | None = Field(
        None, description="URL that it asks, of a host of the lab. Default: that of the stage."
    )
    class_: ClassName | None = Field(
        None, description="The class of all its requests. Default: they have those of `classes`, in their shares."
    )
    objectives: tuple[WrittenObjective, ...] = Field(
        (), description="Sentences that must hold for these requests: `ttft_p95 < 200ms during wifi`."
    )

    @property
    def requests(self) -> Workload:
        """The requests alone."""
        return Workload(**{name: getattr(self, name) for name in Workload.model_fields})
