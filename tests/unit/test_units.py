"""Quantities carry their unit, or are refused."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from chaoskit.units import Duration, Frequency, Quantity, Rate, Share, Size

TYPES: list[type[Quantity]] = [Duration, Rate, Size, Share, Frequency]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Duration, "50ms", 50_000_000),
        (Duration, "1.5s", 1_500_000_000),
        (Duration, "2min", 120_000_000_000),
        (Duration, "2m", 120_000_000_000),
        (Duration, "1h30m", 5_400_000_000_000),
        (Duration, "1 h 30 min", 5_400_000_000_000),
        (Duration, "1m30s", 90_000_000_000),
        (Duration, "1h 0m 5s", 3_605_000_000_000),
        (Duration, "1.5h", 5_400_000_000_000),
        (Duration, "24h", 86_400_000_000_000),
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
    "text",
    [
        "50",
        "0",
        "1.5",
        "-3",
        "",
        "ms",
        "fast",
        "5 parsecs",
        "1e3ms",
        "nan%",
        "--5ms",
        "5ms5",
        "30m1h",
        "1.5h30m",
        "1h1h",
    ],
)
def test_anything_without_a_fitting_unit_is_refused(kind: type[Quantity], text: str) -> None:
    """No number without a unit, no unknown unit and no other text is a quantity; the sentence shows an example."""
    with pytest.raises(ValueError, match=r"; write |not a unit of a"):
        kind.parse(text)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (Share, "120%", "too large; a share is 100% or less"),
        (Share, "100.1%", "too large; a share is 100% or less"),
        (Share, "-1%", "too small; a share is 0% or more"),
        (Duration, "-5ms", "too small; a duration is 0s or more"),
        (Frequency, "0/s", "too small; a frequency is more than 0/s"),
        (Duration, "99999999999999s", "too large; a duration is 999999999s or less"),
        (Duration, "+5ms", "write 5ms"),
        (Duration, "0." + 30 * "3" + "s", "digits after the point"),
    ],
)
def test_impossible_numbers_are_refused_with_the_bound(kind: type[Quantity], text: str, sentence: str) -> None:
    """What cannot be is refused, naming the least or the most that can."""
    with pytest.raises(ValueError, match=sentence):
        kind.parse(text)


@pytest.mark.parametrize(
    ("kind", "text", "meant"),
    [
        (Duration, "5MS", "did you mean 5ms?"),
        (Duration, "800msec", "did you mean 800ms?"),
        (Duration, "30sec", "did you mean 30s?"),
        (Duration, "30 secs", "did you mean 30s?"),
        (Duration, "3 minutes", "did you mean 3min?"),
        (Duration, "1.5d", "did you mean 36h?"),
        (Duration, "20", "write 20ms or 20s"),
        (Duration, "1e3ms", "has an exponent; write 1000ms"),
        (Duration, "1,5s", "has a comma; write 1.5s"),
        (Duration, "1,000ms", "has a comma; write 1.000ms or 1000ms"),
        (Duration, "1h30", "for example 1h30min"),
        (Duration, "30m1h", "for example 1h30min"),
        (Rate, "100Mbps", "did you mean 100mbit?"),
        (Rate, "10mbps", "did you mean 10mbit or, as tc(8) has it, 80mbit?"),
        (Rate, "10MB/s", "did you mean 80mbit?"),
        (Rate, "10MBit", "did you mean 10mbit?"),
        (Rate, "10", "write 10kbit or 10mbit"),
        (Size, "4k", "did you mean 4kB?"),
        (Size, "4kb", "did you mean 4kB?"),
        (Size, "4KBytes", "did you mean 4kB?"),
        (Size, "4kib", "did you mean 4KiB?"),
        (Size, "4", "write 4B or 4kB"),
        (Share, "5%%", "did you mean 5%?"),
        (Share, "5 percent", "did you mean 5%?"),
        (Share, "5", "write 5%"),
        (Share, "0.05", "write 0.05% or 5%"),
        (Frequency, "5/sec", "did you mean 5/s?"),
        (Frequency, "5 per second", "did you mean 5/s?"),
        (Frequency, "5/ms", "did you mean 5000/s?"),
        (Frequency, "5", "write 5/s"),
    ],
)
def test_a_near_miss_is_told_what_was_probably_meant(kind: type[Quantity], text: str, meant: str) -> None:
    """Units of other programs, other cases and lengths in the wrong order are answered with the right spelling."""
    with pytest.raises(ValueError, match=re.escape(meant)):
        kind.parse(text)


@pytest.mark.parametrize("kind", TYPES)
@given(data=st.data())
def test_what_is_suggested_is_read_and_holds_as_much(kind: type[Quantity], data: st.DataObject) -> None:
    """For every unit that is often written, with any number: the suggestion is a quantity of the size that is meant."""
    number = str(data.draw(st.decimals("0.001", "9999", places=3)))
    unit = data.draw(st.sampled_from(sorted(kind.meant)))

    with pytest.raises(ValueError, match="unit") as refused:
        kind.parse(number + unit)

    hint = re.search(r"did you mean (.+)\?$", str(refused.value))
    assert hint or Fraction(number) * kind.meant[unit][0] > kind.largest
    for text, size in zip(hint[1].split(" or, as tc(8) has it, ") if hint else (), kind.meant[unit], strict=False):
        assert kind.parse(text) == max(round(Fraction(number) * size), kind.smallest)


@pytest.mark.parametrize("kind", TYPES)
def test_an_unknown_unit_is_answered_with_every_unit_that_is_read(kind: type[Quantity]) -> None:
    """Nothing is read that the sentence does not list, in one of two spellings that look alike."""
    with pytest.raises(ValueError, match="not a unit of a") as refused:
        kind.parse("5 parsecs")

    listed = dict.fromkeys(unicodedata.normalize("NFKC", unit) for unit in kind.units())
    assert str(refused.value).partition(" (")[2] == ", ".join(listed) + ")"


@given(kind=st.sampled_from(TYPES), value=st.integers(1, 10**9))
def test_what_is_printed_reads_back_exactly(kind: type[Quantity], value: int) -> None:
    """A quantity on a screen can be copied into a file without loss."""
    assert kind.parse(str(kind(value))) == value


@given(value=st.integers(0, 10**17))
def test_every_form_of_a_duration_reads_back_exactly(value: int) -> None:
    """In a file, for people, and as tc has it."""
    duration = Duration(value)

    assert [Duration.parse(text) for text in (str(duration), duration.spaced(), duration.in_one_unit())] == [value] * 3
    assert "-" not in str(duration)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "250 ms"),
        (90, "90 s"),
        (120, "2 min"),
        (150.5, "2 min 30 s 500 ms"),
        (600, "10 min"),
        (5400, "1 h 30 min"),
        (86_400, "24 h"),
    ],
)
def test_long_durations_are_readable(seconds: float, text: str) -> None:
    """Minutes and hours, as people say them."""
    assert Duration(int(seconds * 10**9)).spaced() == text


def _schema(kind: type[Quantity]) -> Draft202012Validator:
    return Draft202012Validator(TypeAdapter(kind).json_schema())


def _is_read(kind: type[Quantity], text: str) -> bool:
    try:
        quantity = kind.parse(text)
    except ValueError:
        return False
    assert kind.smallest <= quantity <= kind.largest
    return True


@pytest.mark.parametrize("kind", TYPES)
@given(data=st.data())
def test_whatever_the_schema_accepts_is_read(kind: type[Quantity], data: st.DataObject) -> None:
    """A text that fits the JSON Schema's pattern is a quantity, and within its bounds."""
    text = data.draw(st.from_regex(_schema(kind).schema["pattern"]))

    assert _is_read(kind, text)


_PIECES = ("0", "1", "9", "00", "100", "1000000", "999999999", ".", "5", " ", "-", "+", "e", "_", "x")


@pytest.mark.parametrize("kind", TYPES)
@given(data=st.data())
def test_the_schema_and_the_reader_agree_about_near_misses(kind: type[Quantity], data: st.DataObject) -> None:
    """Of texts made of numbers, units and what is beside them, both accept the same ones."""
    units = [unit for each in TYPES for unit in each.units()]
    text = "".join(data.draw(st.lists(st.sampled_from([*_PIECES, *units, *kind.units()]), min_size=1, max_size=8)))

    assert _is_read(kind, text) == _schema(kind).is_valid(text)


@given(st.text())
def test_any_other_text_is_refused_with_a_sentence(text: str) -> None:
    """No text makes the reader fail in another way."""
    for kind in TYPES:
        assert _is_read(kind, text) == _schema(kind).is_valid(text)


def test_units_that_look_alike_are_listed_once() -> None:
    """The micro sign and the Greek letter are both read, and on a screen they are one."""
    with pytest.raises(ValueError, match="xs") as refused:
        Duration.parse("20xs")

    listed = str(refused.value).rpartition("(")[2]
    assert len(re.findall("[µμ]s", listed)) == 1
    assert Duration.parse("20\u00b5s") == Duration.parse("20\u03bcs") == 20_000
