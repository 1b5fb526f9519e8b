"""Quantities carry their unit, or are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.units import Duration, Frequency, Quantity, Rate, Share, Size

TYPES: list[type[Quantity]] = [Duration, Rate, Size, Share, Frequency]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Duration, "50ms", 50_000_000),
        (Duration, "1.5s", 1_500_000_000),
        (Duration, "2min", 120_000_000_000),
        (Duration, "3 us", 3_000),
        (Duration, "0s", 0),
        (Rate, "10mbit", 10_000_000),
        (Rate, "1.5Gbit/s", 1_500_000_000),
        (Size, "4kB", 4_000),
        (Size, "64KiB", 65_536),
        (Share, "1%", 10_000_000),
        (Share, "0.0001%", 1_000),
        (Share, "3ppm", 3_000),
        (Frequency, "2/s", 2_000_000),
        (Frequency, "30/min", 500_000),
    ],
)
def test_a_quantity_with_its_unit_is_read_exactly(kind: type[Quantity], text: str, value: int) -> None:
    """A number and its unit become that many base units, without a float in between."""
    quantity = kind.parse(text)

    assert quantity == value
    assert type(quantity) is kind


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "text", ["50", "0", "1.5", "-3", "", "ms", "fast", "5 parsecs", "1e3ms", "nan%", "--5ms", "5ms5"]
)
def test_anything_without_a_fitting_unit_is_refused(kind: type[Quantity], text: str) -> None:
    """No number without a unit, no unknown unit and no other text is a quantity; the sentence shows an example."""
    with pytest.raises(ValueError, match=r"write for example|not a unit of a"):
        kind.parse(text)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (Share, "120%", "above 100%"),
        (Share, "-1%", "below 0%"),
        (Duration, "-5ms", "below 0s"),
        (Frequency, "0/s", "below"),
        (Duration, "99999999999999s", "above"),
    ],
)
def test_impossible_numbers_are_refused_with_the_bound(kind: type[Quantity], text: str, sentence: str) -> None:
    """What cannot be is refused, naming the least or the most that can."""
    with pytest.raises(ValueError, match=sentence):
        kind.parse(text)


@given(kind=st.sampled_from(TYPES), value=st.integers(1, 10**9))
def test_what_is_printed_reads_back_exactly(kind: type[Quantity], value: int) -> None:
    """A quantity on a screen can be copied into a file without loss."""
    assert kind.parse(str(kind(value))) == value
