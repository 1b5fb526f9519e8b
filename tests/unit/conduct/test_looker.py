"""Looks at a run while it lasts: with which round it ends, and that nothing about a look can end it otherwise."""

from __future__ import annotations

import os
import signal
from itertools import chain
from pathlib import Path

import pytest
from made_runs import START, Made, plan

from chaoskit.clock import ManualClock, RealClock
from chaoskit.conduct.looker import Looker
from chaoskit.planning.model import Plan
from chaoskit.planning.until_decided import looks_of
from chaoskit.records.jsonl import FILES, read
from chaoskit.records.look_record import Look

SECOND = 10**9
ROUND = 30 * SECOND
CLEAR, OPEN = "ttft_p50 < 1s during wifi", "interruption_rate < 0.1% during wifi"


def repeated(*objectives: str, rounds: int = 4) -> Plan:
    """A plan of so many rounds, with a look after each."""
    once = plan(objectives)
    phases = chain.from_iterable(
        (phase.model_copy(update={"round": number}) for phase in once.phases) for number in range(rounds)
    )
    return once.model_copy(update={"phases": tuple(phases), "looks": looks_of(rounds, "as-written")})


class SlowClock(ManualClock):
    """Waiting takes real time as well, a little: for processes."""

    def sleep_until(self, stamp: int) -> None:
        """Move there."""
        super().sleep_until(stamp)
        RealClock().sleep_until(RealClock().now() + SECOND // 200)


@pytest.fixture
def clock() -> ManualClock:
    """At the start of the run."""
    return SlowClock(START)


def wait(looker: Looker) -> bool:
    """Check until the process of the look has ended; what the last check said."""
    real = RealClock()
    deadline = real.now() + 60 * SECOND
    while not (said := looker.check()) and looker.is_looking:
        assert real.now() < deadline
        real.sleep_until(real.now() + SECOND // 100)
    return said


def test_a_run_ends_with_the_round_in_which_all_is_decided(tmp_path: Path, clock: ManualClock) -> None:
    """The look begins two seconds before the round's end; its answer is in the run directory."""
    made = Made(repeated(CLEAR)).phases().many(0, 29_000, 100)
    made.write(tmp_path)
    assert made.plan is not None
    with Looker(made.plan, tmp_path, clock, START) as looker:
        clock.sleep_until(START + ROUND - 2 * SECOND - 1)
        assert not looker.check()
        assert not looker.is_looking
        clock.sleep_until(START + ROUND - 2 * SECOND)

        assert wait(looker)

    assert looker.end == START + ROUND
    assert read(tmp_path, Look) == [Look(START + ROUND - 2 * SECOND, 1, (CLEAR,), (), ())]


def test_a_late_answer_ends_the_run_with_the_round_that_runs_then(tmp_path: Path, clock: ManualClock) -> None:
    """A round is never cut short."""
    made = Made(repeated(CLEAR)).phases().many(0, 29_000, 100)
    made.write(tmp_path)
    assert made.plan is not None
    with Looker(made.plan, tmp_path, clock, START) as looker:
        clock.sleep_until(START + ROUND - 2 * SECOND)
        looker.check()
        clock.sleep_until(START + ROUND)

        assert wait(looker)

    assert looker.end == START + 2 * ROUND


def test_a_look_begins_as_long_before_as_the_last_one_took(tmp_path: Path, clock: ManualClock) -> None:
    """Without a verdict on every objective the run goes on."""
    made = Made(repeated(CLEAR, OPEN)).phases().many(0, 29_000, 100)
    made.write(tmp_path)
    assert made.plan is not None
    with Looker(made.plan, tmp_path, clock, START) as looker:
        clock.sleep_until(START + ROUND - 2 * SECOND)
        looker.check()
        clock.sleep_until(START + ROUND + 3 * SECOND)
        assert not wait(looker)
        clock.sleep_until(START + 2 * ROUND - 5 * SECOND - 1)
        assert not wait(looker)
        clock.sleep_until(START + 2 * ROUND - 5 * SECOND)
        assert not wait(looker)

    assert looker.end is None
    assert [(each.round, each.met, each.undecided) for each in read(tmp_path, Look)] == [
        (1, (CLEAR,), (OPEN,)),
        (2, (CLEAR,), (OPEN,)),
    ]


def test_a_look_that_fails_ends_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """Records that cannot be read, and a process that is killed: the run goes on, and looks again."""
    made = Made(repeated(CLEAR)).phases().many(0, 29_000, 100)
    made.write(tmp_path)
    assert made.plan is not None
    good = (tmp_path / FILES[type(made.records[0])]).read_text()
    with Looker(made.plan, tmp_path, clock, START) as looker:
        (tmp_path / "phases.jsonl").write_text("nonsense\n" + good)
        clock.sleep_until(START + ROUND - 2 * SECOND)
        assert not wait(looker)
        (tmp_path / "phases.jsonl").write_text(good)
        clock.sleep_until(START + 2 * ROUND - 2 * SECOND)
        looker.check()
        assert looker.process is not None
        os.kill(looker.process, signal.SIGKILL)
        assert not wait(looker)
        clock.sleep_until(START + 3 * ROUND - 2 * SECOND)
        assert wait(looker)

    assert looker.end == START + 3 * ROUND


def test_no_look_is_left_behind(tmp_path: Path, clock: ManualClock) -> None:
    """Whatever ends the run ends the look that is being taken."""
    Made(repeated(CLEAR)).phases().many(0, 29_000, 20).write(tmp_path)
    with Looker(repeated(CLEAR), tmp_path, clock, START) as looker:
        clock.sleep_until(START + ROUND)
        looker.check()
        process = looker.process

    assert process is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_run_of_a_fixed_length_has_no_looks(tmp_path: Path, clock: ManualClock) -> None:
    """Nor does the last round of one that ends by itself."""
    for each in (plan([CLEAR]), repeated(CLEAR, rounds=1)):
        with Looker(each, tmp_path, clock, START) as looker:
            clock.sleep_until(clock.now() + 10 * ROUND)
            assert not looker.check()
            assert not looker.is_looking
