"""Parses how much worse a metric may be than in the reference: `5%`, `ttft_p95=50ms`.

A share is of the reference's value, an amount in the metric's unit. A metric that is 0 when all is well, an
interruption rate or stalls, has no share of its reference: its tolerance is an amount, `interruption_rate=1pp`
(percentage points) or `stalls_per_minute=2/min`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chaoskit.errors import SpecError
from chaoskit.spec.metrics import METRICS, advice
from chaoskit.spec.sample_size import is_zero_when_well
from chaoskit.units import Duration

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9}"
_PERCENT = re.compile(rf"({_NUMBER})\s*%")
_MOST = 10.0  # times the reference; more is a mistake
_AMOUNTS = {
    "share": (re.compile(rf"({_NUMBER})\s*pp"), 0.01, "1pp"),
    "per-minute": (re.compile(rf"({_NUMBER})\s*/\s*min"), 1.0, "2/min"),
    "per-second": (re.compile(rf"({_NUMBER})\s*/\s*s"), 1.0, "1/s"),
}
"""Of each kind of metric but durations: how an amount is written, what its unit holds, and an example."""


@dataclass(frozen=True)
class Margin:
    """How much worse is not worse: a `share` of the reference, or an `amount` in base units (ns, shares of 1)."""

    text: str
    share: float = 0.0
    amount: float = 0.0


@dataclass(frozen=True)
class Tolerances:
    """The margin of every metric, and those of some."""

    every: Margin | None = None
    own: Mapping[str, Margin] = field(default_factory=dict)

    def of(self, metric: str) -> Margin | None:
        """Its own margin, or that of all where that has a meaning.

        It has none for what is 0 when all is well, nor, from 100% on, for what is better when more: it allows anything.
        """
        if metric in self.own:
            return self.own[metric]
        allows_anything = self.every is not None and self.every.share >= 1 and METRICS[metric].more_is_better
        return None if is_zero_when_well(metric) or allows_anything else self.every


def tolerances(texts: Iterable[str]) -> Tolerances:
    """The tolerances that options give. Raises SpecError."""
    every: Margin | None = None
    own: dict[str, Margin] = {}
    for text in texts:
        metric, equals, amount = (part.strip() for part in text.partition("="))
        try:
            _require_no_sign(text)
            if not equals and every is not None:
                raise ValueError(f"{text!r} is a second tolerance of all metrics; one is enough")
            if not equals:
                every = _share(text.strip())
            elif metric in own:
                raise ValueError(f"{metric} has two tolerances; one is enough")
            else:
                own[metric] = _own(metric, amount)
        except ValueError as error:
            raise SpecError(f"--tolerance: {error}") from None
    return Tolerances(every, own)


def _require_no_sign(text: str) -> None:
    head, equals, amount = (part.strip() for part in text.rpartition("="))
    if amount.startswith("-"):
        meant = f"{head}{equals}{amount.lstrip('-')}"
        raise ValueError(f"{amount!r} is below 0; a tolerance is how much worse; write {meant}")


def _own(metric: str, text: str) -> Margin:
    if metric not in METRICS:
        raise ValueError(f"{metric!r} is not a metric; {advice(metric)}")
    if metric.endswith("_max") or metric == "recovery_time":
        raise ValueError(f"{metric} describes one run alone, and has no interval; take a percentile")
    known = METRICS[metric]
    if _PERCENT.fullmatch(text):
        if known.kind == "share":
            meant = text.replace("%", "").strip()
            raise ValueError(f"{text!r} of a share can mean two things; write {metric}={meant}pp, percentage points")
        if is_zero_when_well(metric):
            raise ValueError(f"{metric} is 0 when all is well, and {text} of 0 is 0; write {metric}=2/min")
        return _share(text, can_grow=not known.more_is_better)
    if known.kind == "duration":
        if text.endswith("%"):
            raise ValueError(f"{text!r} is no tolerance of {metric}; write for example {metric}=10%")
        return Margin(text, amount=_positive(float(Duration.parse(text)), text))
    pattern, unit, example = _AMOUNTS[known.kind]
    if (found := pattern.fullmatch(text)) is None:
        raise ValueError(f"{text!r} is no tolerance of {metric}; write for example {metric}={example}")
    return Margin(text, amount=_positive(float(found[1]) * unit, text))


def _share(text: str, can_grow: bool = True) -> Margin:
    found = _PERCENT.fullmatch(text)
    if found is None:
        meant = f"{text}%" if re.fullmatch(_NUMBER, text) else f"{text}=10%" if text in METRICS else "for example 5%"
        raise ValueError(f"{text!r} is no tolerance; write {meant}")
    share = _positive(float(found[1]) / 100, text)
    if share > _MOST:
        raise ValueError(f"{text!r} is too much; a tolerance is at most {100 * _MOST:.0f}%")
    if share >= 1 and not can_grow:
        raise ValueError(f"{text!r} is too much; of what is better when more a tolerance is less than 100%")
    return Margin(text, share=share)


def _positive(value: float, text: str) -> float:
    if value <= 0:
        raise ValueError(f"{text!r} can never be shown; write a tolerance above 0")
    return value
