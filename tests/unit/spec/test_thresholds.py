"""The thresholds of stalls and waiting in files and options: with units, within bounds."""

from __future__ import annotations

import pytest

from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.spec.load import parse
from chaoskit.spec.options import workload

FILE = """\
name: reader
question: Who waits?
stage: {lab: edge}
workload: {max-concurrency: 1, %s}
timeline: [{baseline: 5s}]
"""


@pytest.mark.parametrize(
    ("written", "stall", "rate"), [("1s", 10**9, "20/s"), ("1s, reading-rate: 90/min", 10**9, "1.5/s")]
)
def test_a_file_sets_them(written: str, stall: int, rate: str) -> None:
    """They are in the plan, in base units."""
    plan = compile_plan(parse(FILE % f"stall-threshold: {written}", "reader.yaml"))

    assert (plan.workload.stall_threshold, str(plan.workload.reading_rate)) == (stall, rate)


def test_the_defaults_are_the_papers() -> None:
    """200 ms, and 20 tokens a second."""
    found = workload({"max-concurrency": 1})

    assert (str(found.stall_threshold), str(found.reading_rate)) == ("200ms", "20/s")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("stall-threshold: 200", "has no unit"),
        ("stall-threshold: 0s", "0s is less than the minimum, 1ms"),
        ("stall-threshold: 2h", "2h is more than the maximum, 1h: no gap of a stream is so long"),
        ("reading-rate: 20", "has no unit"),
        ("reading-rate: 0.01/s", "0.01/s is less than the minimum, 0.1/s"),
        ("reading-rate: 20000/s", "20000/s is more than the maximum, 10000/s: nobody reads so fast"),
    ],
)
def test_mistakes_are_told(words: str, message: str) -> None:
    """Without a unit, and out of range, in a file as in an option."""
    key, _, value = words.partition(": ")

    with pytest.raises(SpecError) as in_file:
        parse(FILE % words, "reader.yaml")
    with pytest.raises(SpecError) as in_option:
        workload({"max-concurrency": 1, key: value})

    assert f"workload.{key}" in str(in_file.value)
    assert message in str(in_file.value)
    assert str(in_option.value).startswith(f"--{key}: ")
    assert message in str(in_option.value)
