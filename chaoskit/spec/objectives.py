"""Parses objectives, `METRIC [during PHASE] < BOUND`.

    ttft_p95 < 800ms during wifi
    interruption_rate <= 1%
    ttft_p95 during wifi < 3x baseline

The phase may stand before or after the comparison; without one the whole run counts. A bound is a
quantity of the metric's kind, or a multiple of the same metric in another phase.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from chaoskit.faults.schema import suggestion
from chaoskit.units import Duration, Quantity, Share

Kind = Literal["duration", "share", "number"]
_QUANTILES = ("p50", "p90", "p95", "p99", "max", "mean")
_LATENCIES = ("connect", "ttf_event", "ttft", "ttfo", "itl", "tpot", "e2el", "max_gap")
METRICS: dict[str, Kind] = {
    **{f"{name}_{quantile}": "duration" for name in _LATENCIES for quantile in _QUANTILES},
    "interruption_rate": "share",
    "stall_ratio": "share",
    "stall_interval_fraction": "share",
    "delivered_fraction": "share",
    "stalls_per_minute": "number",
}

_SENTENCE = re.compile(
    r"^\s*(?P<metric>[\w-]+)\s+(?:during\s+(?P<before>\S+)\s+)?(?P<operator><=|>=|<|>)\s*"
    r"(?:(?P<factor>[0-9.]+)\s*x\s+(?P<reference>\S+)|(?P<bound>\S.*?))"
    r"(?:\s+during\s+(?P<after>\S+))?\s*$",
    re.DOTALL,
)
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?|\.[0-9]{1,15}"
_QUANTITIES: dict[Kind, type[Quantity]] = {"duration": Duration, "share": Share}


class Objective(BaseModel):
    """`bound` in the metric's base unit (ns, parts per billion, or a plain number), or `factor` x `reference`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    metric: str
    operator: Literal["<", "<=", ">", ">="]
    phase: str | None = None
    bound: float | None = None
    factor: float | None = None
    reference: str | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Objective:
        if self.metric not in METRICS:
            raise ValueError(f"{self.metric!r} is not a metric; {suggestion(self.metric, METRICS)}")
        if (self.bound is None) == (self.factor is None) or (self.factor is None) != (self.reference is None):
            raise ValueError("an objective has either a bound, or a factor of a reference")
        return self

    @property
    def kind(self) -> Kind:
        """The kind of the metric's values."""
        return METRICS[self.metric]


def pattern() -> str:
    """What `parse` accepts, as a regular expression of ECMA-262."""
    sentences = []
    for kind in dict.fromkeys(METRICS.values()):
        metrics = "|".join(metric for metric, its in METRICS.items() if its == kind)
        value = _QUANTITIES[kind].pattern().strip("^$") if kind in _QUANTITIES else _NUMBER
        bound = rf"(?:<=|>=|<|>)\s*(?:(?:{_NUMBER})\s*x\s+\S+|{value})"
        sentences.append(rf"(?:{metrics})\s+(?:during\s+\S+\s+{bound}|{bound}(?:\s+during\s+\S+)?)")
    return rf"^\s*(?:{'|'.join(sentences)})\s*$"


def parse(text: str) -> Objective:
    """Parse one objective. Raises ValueError with what was expected."""
    match = _SENTENCE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not an objective; write for example 'ttft_p95 < 800ms during baseline'")
    metric = match["metric"]
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is not a metric; {suggestion(metric, METRICS)}")
    if match["before"] and match["after"]:
        raise ValueError(f"{text!r} names two phases; one is enough")
    factor = match["factor"]
    return Objective(
        text=" ".join(text.split()),
        metric=metric,
        operator=match["operator"],
        phase=match["before"] or match["after"],
        bound=None if factor else _bound(metric, match["bound"]),
        factor=_number(factor) if factor else None,
        reference=match["reference"],
    )


def _bound(metric: str, text: str) -> float:
    kind = METRICS[metric]
    return float(_QUANTITIES[kind].parse(text)) if kind in _QUANTITIES else _number(text)


def _number(text: str) -> float:
    if not re.fullmatch(_NUMBER, text):
        raise ValueError(f"{text!r} is not a number; write for example 3")
    return float(text)
