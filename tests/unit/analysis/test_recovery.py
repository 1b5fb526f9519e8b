"""The time until goodput is back, of runs made by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from made_runs import Made, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import ObjectiveResult, Result

WHOLE = "[{baseline: 10s}, {wifi: 10s}, {recovery: 10s}]"
BOUND = "recovers within 3s after wifi"


def run(
    tmp_path: Path,
    bad_until: float,
    objective: str = BOUND,
    before: int = 0,
    timeline: str = WHOLE,
    until: float = 30_000,
) -> Result:
    """A request each 100 ms: those from 10 s on fail until `bad_until`, and every `before`-th of the baseline."""
    work = Made(plan([objective], timeline=timeline)).phases()
    for at in range(0, round(until), 100):
        fails = 10_000 <= at < bad_until or (before and at < 10_000 and at // 100 % before == 0)
        work.stream(at, [at + 50, at + 70], "reset" if fails else "complete")
    work.counters("wifi", 9000, 1000, 10_000, 20_000).handshakes(1000, [1] * 9).handshakes(11_000, [31] * 9)
    return analyse(work.write(tmp_path / "run"))


def verdict(found: Result) -> ObjectiveResult:
    """That on its only objective."""
    return found.objectives[0]


@pytest.mark.parametrize(
    ("bad_until", "judgement", "ms"), [(15_000, "met", 0), (22_500, "met", 2500), (23_100, "broken", 3100)]
)
def test_it_ends_with_the_first_row_that_is_as_good_as_before(
    tmp_path: Path, bad_until: float, judgement: str, ms: float
) -> None:
    """From the end of the phase; 0 where the phase itself ended well."""
    found = verdict(run(tmp_path, bad_until))

    assert (found.verdict, found.observed.value, found.unit) == (judgement, ms, "ms")


def test_as_good_as_before_is_not_perfect(tmp_path: Path) -> None:
    """Where a tenth failed before, 18 of 20 in a row are enough: 200 ms earlier than all of them."""
    assert verdict(run(tmp_path, 22_500, before=10)).observed.value == 2300


def test_what_never_comes_back_is_broken(tmp_path: Path) -> None:
    """A metastable state: the phase after it was long enough to see that it takes longer."""
    found = verdict(run(tmp_path, 30_000))

    assert (found.verdict, found.observed.value) == ("broken", math.inf)
    assert found.observed.low == 8000  # the last row of 20 begins then


def test_a_short_look_decides_nothing(tmp_path: Path) -> None:
    """In ten seconds nobody can see what happens in a minute."""
    found = verdict(run(tmp_path, 30_000, objective="recovers within 60s after wifi"))

    assert found.verdict == "undecided"
    assert found.reason == "not back within the 8 s that were watched; make the phase after it longer"


@pytest.mark.parametrize(
    ("objective", "timeline", "until", "told"),
    [
        (BOUND, "[{baseline: 10s}, {wifi: 10s}]", 20_000, "no phase follows wifi"),
        (BOUND, "[{warm-up: 10s}, {wifi: 10s}, {recovery: 10s}]", 30_000, "no clean phase stands before wifi"),
        (BOUND, WHOLE, 21_000, "10 requests after wifi, and it takes 20 in a row"),
        ("recovers within 3s after baseline", WHOLE, 30_000, "baseline has neither a fault nor a surge"),
    ],
)  # fmt: skip
def test_without_before_or_after_there_is_nothing_to_tell(
    tmp_path: Path, objective: str, timeline: str, until: float, told: str
) -> None:
    """And the reason says which of them is missing."""
    found = verdict(run(tmp_path, 12_000, objective, timeline=timeline, until=until))

    assert found.verdict == "undecided"
    assert told in found.reason


def test_without_a_phase_the_longest_counts(tmp_path: Path) -> None:
    """Of all phases that have a fault or a surge."""
    assert verdict(run(tmp_path, 22_500, objective="recovery_time < 9s")).observed.value == 2500
