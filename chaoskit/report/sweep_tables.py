"""The tables of a sweep, as text without any markup: a row for each point, which its values begin."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.analysis.sweep_points import SweepMeasurement, shown

_VERDICTS = ("met", "broken", "undecided", "failed")

Row = tuple[str, ...]


def verdict_words(found: SweepMeasurement) -> Row:
    """The verdicts that any run of it has."""
    return tuple(word for word in _VERDICTS if any(word in point.verdicts for point in found.points))


def verdict_rows(found: SweepMeasurement) -> Iterator[Row]:
    """How many runs of each point have each of these verdicts; nothing where none has."""
    for point in found.points:
        yield *point.values, *(str(point.verdicts.get(word, "")) for word in verdict_words(found))


def metric_rows(found: SweepMeasurement, metric: str) -> Iterator[Row]:
    """A metric in each phase, with its interval."""
    for point in found.points:
        yield *point.values, *(shown(point.of(phase, metric)) for phase in found.phases)
