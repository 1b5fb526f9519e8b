"""Doses are round numbers in the unit that was given, from the easy end to the hard one."""

from __future__ import annotations

import pytest

from chaoskit.errors import SpecError
from chaoskit.spec.dose_scale import DoseScale, dose_scale


def scale(easy: str, hard: str, precision: float = 0.05, takes_fractions: bool = True) -> DoseScale:
    """That of a path."""
    return dose_scale("faults.wifi", easy, hard, precision, lambda text: takes_fractions or "." not in text)


@pytest.mark.parametrize(
    ("easy", "hard", "second", "count"),
    [
        ("0%", "20%", "0.2%", 101),
        ("0ms", "200ms", "2ms", 101),
        ("500us", "2ms", "0.51ms", 151),
        ("10mbit", "1mbit", "9.95mbit", 181),
        ("1500B", "576B", "1495B", 186),
        ("1/s", "5/s", "1.02/s", 201),
        ("0s", "1min", "0.01min", 101),
    ],
)
def test_doses_have_the_unit_of_the_hard_end(easy: str, hard: str, second: str, count: int) -> None:
    """And their step is 1, 2 or 5 of some power of ten, at most a fifth of the precision."""
    found = scale(easy, hard)

    assert (found.texts[1], len(found.texts)) == (second, count)
    assert (found.scale[0], found.scale[-1]) == (0.0, 1.0)


def test_a_path_of_whole_numbers_has_whole_doses() -> None:
    """Others have decimals, unless the range is wide."""
    assert scale("1", "4", takes_fractions=False).texts == ("1", "2", "3", "4")
    assert scale("1500", "576", takes_fractions=False).texts[1] == "1495"
    assert scale("0", "3").texts[1] == "0.02"


def test_no_dose_is_finer_than_its_unit_holds() -> None:
    """Sizes are whole bytes."""
    assert scale("0B", "4B").texts == ("0B", "1B", "2B", "3B", "4B")


def test_a_place_between_two_doses_is_the_nearest() -> None:
    """Beyond an end it is the end."""
    found = scale("0%", "20%")

    assert [found.text(place) for place in (-1, 0.131, 2)] == ["0%", "2.6%", "20%"]
    assert found.place("at-least", "2%") == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("easy", "hard", "words"),
    [
        ("5%", "5%", "two different doses"),
        ("0%", "20ms", "not of one kind"),
        ("0", "20%", "not of one kind"),
        ("much", "20%", "--from: 'much' is no dose"),
        ("0%", "more", "--to: 'more' is no dose"),
    ],
)
def test_ends_that_are_no_range_are_refused(easy: str, hard: str, words: str) -> None:
    """With what to write."""
    with pytest.raises(SpecError, match=words):
        scale(easy, hard)


def test_ends_with_nothing_between_them_are_no_range() -> None:
    """Such as two protocols: of what is between them no run could be made."""
    with pytest.raises(SpecError, match=r"takes 4 and 6, but not 5, .* chaoskit sweep FILE --vary stage.ip=4,6"):
        dose_scale("stage.ip", "4", "6", 0.05, lambda text: text in ("4", "6"))


def test_a_dose_beyond_the_range_is_refused() -> None:
    """As a gate it could never be decided."""
    with pytest.raises(SpecError, match="not between 0% and 20%"):
        scale("0%", "20%").place("at-least", "30%")
    with pytest.raises(SpecError, match="--at-least: '2' has no unit"):
        scale("0%", "20%").place("at-least", "2")
