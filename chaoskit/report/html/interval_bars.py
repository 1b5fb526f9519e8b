"""Places the interval of an objective against its bound, for a picture that a template draws.

Its right end is beyond everything finite; an interval without an end, and what never came, reach the edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from chaoskit.analysis.formatting import ANYTHING, format_interval, format_value
from chaoskit.analysis.result import ObjectiveResult
from chaoskit.report.html.answers import definition

WIDTH = 320
_ROOM = 1.18  # of the largest number
_EDGE = 40  # a text in the middle of a number is not nearer to an edge


@dataclass(frozen=True)
class IntervalBar:
    """Places from the left. `good` and `bad` are where the objective is met, and where not: from, and how wide.

    `low` and `high` are None without an interval, `value` without a value; `words` say it all,
    and `definition` what the metric is.
    """

    bound: float
    bound_label: str
    bound_label_at: float
    value: float | None
    value_label: str
    value_label_at: float
    low: float | None
    high: float | None
    good: tuple[float, float]
    bad: tuple[float, float]
    words: str
    definition: tuple[str, ...]


def interval_bar(found: ObjectiveResult) -> IntervalBar:
    """The picture of this objective."""
    observed, unit = found.observed, found.unit
    numbers = [each for each in (observed.value, observed.low, observed.high, found.bound) if each is not None]
    largest = max((each for each in numbers if math.isfinite(each)), default=1.0) or 1.0

    def place(number: float) -> float:
        return WIDTH if math.isinf(number) else round(WIDTH * max(0.0, number) / (largest * _ROOM), 1)

    bound, more_is_good = place(found.bound), ">" in found.text
    below, above = (0.0, bound), (bound, WIDTH - bound)
    has_interval = observed.low is not None and observed.high is not None and observed.value is not None
    value = None if observed.value is None else place(observed.value)
    label, limit = format_value(observed.value, unit), format_value(found.bound, unit)
    interval = format_interval(observed.low, observed.high, unit) if has_interval else ANYTHING
    told = "" if interval == ANYTHING else f", interval {interval}"
    return IntervalBar(
        bound=bound,
        bound_label=f"bound {limit}",
        bound_label_at=_inside(bound),
        value=value,
        value_label=label,
        value_label_at=_inside(value or 0.0),
        low=place(observed.low) if has_interval and observed.low is not None else None,
        high=place(observed.high) if has_interval and observed.high is not None else None,
        good=above if more_is_good else below,
        bad=below if more_is_good else above,
        definition=tuple(definition(found)),
        words=f"{label}{told}, bound {limit}: {found.verdict}",
    )


def _inside(place: float) -> float:
    return min(max(place, _EDGE), WIDTH - _EDGE)
