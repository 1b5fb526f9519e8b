"""Runs until all is decided: their rounds and looks, and intervals that err in 5 % over all looks together."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from warm import chaoskit

from chaoskit import intervals
from chaoskit.conduct.planning import prepare
from chaoskit.errors import SpecError
from chaoskit.planning.model import Plan
from chaoskit.planning.until_decided import MOST_LOOKS, looks_of, tail_of
from chaoskit.spec.load import parse
from chaoskit.units import Duration

FILE = """\
name: until
question: When is it decided?
stage: {lab: edge}
workload: {request-rate: 4/s, burstiness: 0, output-tokens: 20}
faults: {slow: {link: client-router, direction: down, netem: {delay: 30ms}}}
timeline: [{baseline: 4s}, {slow: 6s}]
objectives: [ttft_p50 < 800ms during slow]
"""
Floats = NDArray[np.float64]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(160)


def error(constant: float, looks: int) -> float:
    """The probability that a random walk leaves `constant` standard deviations at one of its looks.

    By numerical integration over what has not left yet (Armitage, McPherson and Rowe, JRSS A 132 (1969)).
    """

    def density(z: Floats) -> Floats:
        return np.asarray(np.exp(-z * z / 2) / math.sqrt(2 * math.pi))

    places, weights = constant * NODES, constant * WEIGHTS
    inside = density(places)
    for look in range(2, looks + 1):
        bound = constant * math.sqrt(look)
        inside = (density(bound * NODES[:, None] - places[None, :]) * (weights * inside)[None, :]).sum(1)
        places, weights = bound * NODES, bound * WEIGHTS
    return float(1 - (weights * inside).sum())


@pytest.mark.parametrize(
    ("looks", "constant"), [(1, 1.960), (2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413), (10, 2.555), (20, 2.672)]
)
def test_the_constants_are_pococks(looks: int, constant: float) -> None:
    """As published: Jennison and Turnbull, Group Sequential Methods (2000), table 2.1."""
    assert intervals.normal(tail_of(looks)) == pytest.approx(constant, abs=6e-4)


@pytest.mark.parametrize("looks", range(1, MOST_LOOKS + 1))
def test_all_looks_together_err_in_five_percent(looks: int) -> None:
    """By integration, whatever the number of looks."""
    assert error(intervals.normal(tail_of(looks)), looks) == pytest.approx(0.05, abs=2e-5)


def test_random_walks_leave_as_often_as_computed() -> None:
    """A hundred thousand of five looks: 5 %, where looks at 1.96 are left by 14 %."""
    steps = np.random.default_rng(5).standard_normal((100_000, 5))
    farthest = np.abs(steps.cumsum(1) / np.sqrt(np.arange(1, 6))).max(1)

    assert (farthest > intervals.normal(tail_of(5))).mean() == pytest.approx(0.05, abs=0.003)
    assert (farthest > 1.96).mean() == pytest.approx(0.142, abs=0.005)


@pytest.mark.parametrize(
    ("rounds", "order", "expected"),
    [
        (1, "as-written", (1,)),
        (3, "as-written", (1, 2, 3)),
        (8, "interleaved", (2, 4, 6, 8)),
        (20, "as-written", tuple(range(1, 21))),
        (21, "as-written", (*range(2, 21, 2), 21)),
        (42, "interleaved", (*range(4, 41, 4), 42)),
    ],
)
def test_it_looks_after_whole_rounds_and_pairs(rounds: int, order: str, expected: tuple[int, ...]) -> None:
    """Twenty times at the most, and at the end of the last one."""
    found = looks_of(rounds, order)  # type: ignore[arg-type]

    assert found.rounds == expected
    assert found.tail == tail_of(len(expected))


def test_it_never_looks_more_than_twenty_times() -> None:
    """Whatever the number of rounds; the looks are equally far apart but for the last one."""
    for rounds in range(1, 1001):
        found = looks_of(rounds, "as-written").rounds

        assert len(found) <= MOST_LOOKS
        assert found[-1] == rounds
        assert len({after - before for before, after in pairwise((0, *found[:-1]))} or {1}) == 1


def planned(text: str = FILE, most: str = "60s") -> Plan:
    """The plan of such a run."""
    return prepare(parse(text, "until.yaml"), max_time=Duration.parse(most))


def test_the_plan_has_all_rounds_that_the_time_allows() -> None:
    """Of ten seconds in 65 s: six, with the looks and the tail of six; the file's own repeats do not matter."""
    plan = planned(FILE + "repeats: 3\n", "65s")

    assert plan.length == 60 * 10**9
    assert plan.looks == looks_of(6, "as-written")
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_interleaved_rounds_come_in_pairs() -> None:
    """A round without its reverse is left out."""
    plan = planned(FILE + "repeats: 2\norder: interleaved\n", "59s")

    assert plan.phases[-1].round == 3
    assert plan.looks is not None
    assert plan.looks.rounds == (2, 4)
    assert plan.interleaved.startswith("at most 4 rounds interleaved")


@pytest.mark.parametrize(
    ("text", "most", "told"),
    [
        (FILE, "9s", "--max-time 9s: one round of the timeline takes 10s; give --max-time 100s for 10 looks"),
        (FILE + "repeats: 2\norder: interleaved\n", "19s", "a pair of rounds, which are interleaved, takes 20s"),
        (FILE.partition("objectives")[0], "60s", "the file has no objectives to decide; write objectives:"),
        (FILE.replace("ttft_p50 <", "tls_p50 <"), "60s", "tls_p50 < 800ms during slow: has no value, for this lab has"),
    ],
)
def test_what_cannot_be_decided_is_refused_at_once(text: str, most: str, told: str) -> None:
    """In one sentence that says what to type."""
    with pytest.raises(SpecError) as error:
        planned(text, most)

    assert told in str(error.value)


def test_an_objective_that_the_time_cannot_decide_is_refused() -> None:
    """What is advised is enough: with it the plan is made."""
    text = FILE.replace("ttft_p50 < 800ms during slow", "ttft_p50 during slow < 2x baseline").replace("4/s", "0.33/s")
    with pytest.raises(SpecError) as error:
        planned(text, "20s")

    longer = str(error.value).partition("--max-time ")[2].partition(",")[0]
    assert planned(text, longer).looks is not None
    assert "repeats" not in str(error.value)


def test_a_plan_says_how_often_it_looks(tmp_path: Path) -> None:
    """With the level of its intervals, the rounds and streams at the most, and one round of the timeline."""
    file = tmp_path / "until.yaml"
    file.write_text(FILE)

    said = " ".join(chaoskit("plan", str(file), "--until-decided", "--max-time", "90s").stdout.split())

    assert "at most 90 s in 9 rounds, less when all objectives are decided" in said
    assert "looks after each round, 9 times at most: intervals at 98.9 %" in said
    assert "during slow (at most 216 streams; at the earliest after 1 round)" in said
    assert said.count("delay 30ms") == 1


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_time_alone_is_a_mistake(tmp_path: Path, command: str) -> None:
    """--max-time says what it needs."""
    file = tmp_path / "until.yaml"
    file.write_text(FILE)

    answer = chaoskit(command, str(file), "--max-time", "90s")

    assert answer.returncode == 2
    assert "give --until-decided as well" in answer.stderr
