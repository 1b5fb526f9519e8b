"""The values of an axis are numbers of one unit, or words."""

from __future__ import annotations

import pytest

from chaoskit.analysis.doses import Doses, doses


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["0%", "1.5%", "20%"], Doses(0, (0, 1.5, 20), "%")),
        (["0", "500ms", "1s"], Doses(0, (0, 500, 1000), "ms")),
        (["1kB", "16-kB", "1MB"], Doses(0, (1, 16, 1000), "kB")),
        (["1", "2"], Doses(0, (1, 2), "")),
        (["0.5/s", "2/s"], Doses(0, (0.5, 2), "/s")),
        (["cubic", "bbr"], None),
        (["1ms", "1kB"], None),
        (["1%", "1%"], None),
        (["", "1%"], None),
    ],
)
def test_values_are_numbers_of_the_first_unit(values: list[str], found: Doses | None) -> None:
    """A zero needs none."""
    assert doses([(value,) for value in values]) == found


def test_the_axis_with_the_most_values_is_the_dose() -> None:
    """Others are lines of their own."""
    points = [(loss, trip) for loss in ("0%", "1%") for trip in ("1ms", "20ms", "80ms")]

    found = doses(points)

    assert found is not None
    assert (found.place, found.unit, found.numbers[:3]) == (1, "ms", (1, 20, 80))


def test_without_axes_there_is_no_dose() -> None:
    """A sweep that repeats its file."""
    assert doses([()]) is None
