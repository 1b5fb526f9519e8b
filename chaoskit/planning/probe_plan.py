"""Defines `probe.json`, what a probe was asked: for it what `plan.json` is for a run.

It holds no secret: the URL without the values of its query, the names of headers, the names of variables and files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chaoskit.records.directory import PROBE
from chaoskit.records.untrusted_files import damage_error, read_document
from chaoskit.spec.access import Access
from chaoskit.spec.objectives import Objective
from chaoskit.spec.telemetry import Telemetry
from chaoskit.spec.workload import Workload


class ProbePlan(BaseModel):
    """The target, the load and the objectives of a probe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    chaoskit: str
    url: str
    model: str
    access: Access = Access()
    uds: str | None = None
    maxseg: int | None
    congestion_control: str | None
    workload: Workload
    requests: int
    max_time: int
    objectives: tuple[Objective, ...]
    seed: int
    processes: int = Field(default=1, exclude_if=lambda value: value == 1)
    compare_compression: int = Field(default=0, exclude_if=lambda value: value == 0)
    telemetry: Telemetry | None = Field(default=None, exclude_if=lambda value: value is None)
    capture: bool = Field(default=False, exclude_if=lambda value: not value)


def load_probe_plan(run: Path) -> ProbePlan | None:
    """What the probe of this directory was asked; None where there is no such file. Raises SpecError."""
    path = run / PROBE
    text = read_document(path)
    if text is None:
        return None
    try:
        return ProbePlan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise damage_error(path, f"{place}: {first['msg']}") from None
