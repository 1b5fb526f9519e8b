"""Numbers formatted for people."""

from __future__ import annotations

import math
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.analysis.formatting import (
    about,
    format_change,
    format_change_interval,
    format_interval,
    format_value,
    whole_seconds,
)
from chaoskit.analysis.result import Unit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (152.4, "ms", "152 ms"),
        (9.38, "ms", "9.38 ms"),
        (20.0, "ms", "20 ms"),
        (0.251, "ms", "0.25 ms"),
        (0.0664, "ms", "0.066 ms"),
        (0.0, "ms", "0 ms"),
        (999.6, "ms", "1 s"),
        (1312.0, "ms", "1.31 s"),
        (61_400.0, "ms", "61.4 s"),
        (361_400.0, "ms", "361 s"),
        (600_000.0, "ms", "600 s"),
        (1_200_000.0, "ms", "20 min"),
        (5_400_000.0, "ms", "90 min"),
        (9_000_000.0, "ms", "2.5 h"),
        (-0.0001, "ms", "0 ms"),
        (-0.0, "ms", "0 ms"),
        (-0.2, "count", "0"),
        (-75.3, "ms", "-75.3 ms"),
        (math.inf, "ms", "never"),
        (None, "ms", "–"),
        (0.0323, "share", "3.23 %"),
        (0.00004, "share", "0.004 %"),
        (1.0, "share", "100 %"),
        (29.53, "per-minute", "29.5/min"),
        (4.4, "per-second", "4.4/s"),
        (7.02, "ratio", "7.02×"),
        (math.inf, "ratio", "∞"),
    ],
)
def test_three_digits_and_a_unit(value: float | None, unit: Unit, text: str) -> None:
    """Every number has about three digits, a unit, and no exponent."""
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (980.0, 1620.0, "980 ms–1.62 s"),
        (50.0, 92.0, "50–92 ms"),
        (-28.9, 19.0, "-28.9 to 19 ms"),
        (50.0, math.inf, "at least 50 ms"),
        (-math.inf, 4.0, "at most 4 ms"),
        (0.0, math.inf, "anything"),
        (None, None, "anything"),
    ],
)
def test_intervals(low: float | None, high: float | None, text: str) -> None:
    """An interval has its unit once, and says when an end is open."""
    assert format_interval(low, high, "ms") == text


def test_every_unit_is_named_once() -> None:
    """Rates, shares and ratios too."""
    assert format_interval(1.0, 2.0, "ratio") == "1–2×"
    assert format_interval(0.0, 2.0, "ratio") == "at most 2×"
    assert format_interval(-1.0, 2.0, "per-minute") == "-1 to 2/min"
    assert format_interval(0.01, 0.02, "share") == "1–2 %"


def test_a_difference_has_its_sign_everywhere() -> None:
    """So that no latency seems to be negative: `at least -162 ms` is none."""
    assert [format_change(value, "ms") for value in (57.0, -3.0, 0.0, -0.0001)] == ["+57 ms", "-3 ms", "0 ms", "0 ms"]
    assert format_change_interval(-162.0, math.inf, "ms") == "-162 ms or more"
    assert format_change_interval(-math.inf, 4.0, "ms") == "+4 ms or less"
    assert format_change_interval(-28.9, 1900.0, "ms") == "-28.9 ms to +1.9 s"
    assert format_change_interval(-3.0, 2.0, "per-second") == "-3 to +2/s"
    assert format_change_interval(-math.inf, math.inf, "ms") == format_change_interval(None, None, "ms") == ""


SIZES = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
UNITS = get_args(Unit)


@given(st.floats(-1e9, 1e9))
def test_a_formatted_time_is_close_to_its_value(value: float) -> None:
    """A formatted time is within a hundredth of its value."""
    number, _, unit = format_value(value, "ms").partition(" ")

    assert float(number) * SIZES[unit] == pytest.approx(value, rel=0.01, abs=0.006)


@given(st.floats(-1e9, 1e9), st.floats(-1, 1), st.sampled_from(UNITS))
def test_nothing_is_minus_zero(large: float, small: float, unit: Unit) -> None:
    """What rounds to 0 has no sign, alone and at either end of an interval."""
    for value in (large, small, small / 1e6, -0.0):
        for text in (
            format_value(value, unit),
            format_interval(value, small, unit),
            format_interval(-0.0, value, unit),
        ):
            assert not re.search(r"-0(?![.0-9]*[1-9])", text), text


def test_a_difference_of_shares_is_in_percentage_points() -> None:
    """From 2 % to 3 % is one point, or half as much again: `+1 %` would be either."""
    assert [format_change(value, "share") for value in (0.01, -0.024, 0.0)] == ["+1 pp", "-2.4 pp", "0 pp"]
    assert format_change_interval(-0.01, 0.02, "share") == "-1 to +2 pp"
    assert format_change_interval(0.01, math.inf, "share") == "+1 pp or more"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (1, "about 1 stream"),
        (72, "about 72 streams"),
        (368, "about 370 streams"),
        (16697, "about 17000 streams"),
        (99901, "about 100000 streams"),
    ],
)
def test_an_estimate_has_two_digits_and_is_never_too_small(number: int, told: str) -> None:
    """More digits would be no knowledge."""
    assert about(number, "stream") == told


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (43.6, "44 s"), (119.7, "2 min"), (247, "4 min 7 s")])
def test_times_that_pass_are_in_whole_seconds(seconds: float, text: str) -> None:
    """In the notation of planned ones."""
    assert whole_seconds(round(seconds * 10**9)) == text
