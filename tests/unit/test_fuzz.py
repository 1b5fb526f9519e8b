"""What was a mistake once is none any more, and a short search finds no other. A longer one: make fuzz."""

from __future__ import annotations

import pytest
from fuzz.__main__ import TARGETS
from fuzz.target import CASES, Target, replay, run

COUNTS = {
    "experiment": 250,
    "injection": 500,
    "words": 3000,
    "journal": 10_000,
    "lease": 800,
    "answers": 1500,
    "objects": 800,
    "frames": 400,
    "packets": 20_000,
    "captures": 1500,
    "otlp-json": 3000,
    "otlp-protobuf": 3000,
    "serve": 600,
    "endpoint": 40,
    "runs": 80,
}
EACH = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@EACH
def test_kept_cases_are_answered(target: Target) -> None:
    """Input that was answered with an exception once is answered as promised."""
    replay(target)


@EACH
def test_a_short_search_finds_nothing(target: Target) -> None:
    """Seeded changes of good input come to what is promised: a value, or an error with a sentence."""
    outcome = run(target, seed=1, count=COUNTS[target.name])

    assert outcome.findings == []
    assert outcome.inputs == COUNTS[target.name]


def test_every_case_has_a_target() -> None:
    """No case lies in a folder that nobody looks at."""
    assert {path.name for path in CASES.iterdir()} <= {target.name for target in TARGETS}
