"""Timers between client and server are found by times that are alike, and never where chance would do."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from made_runs import Made

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import Intermediary
from chaoskit.analysis.network.timers import timers
from chaoskit.records.model import Completion


def found(made: Made, folder: Path) -> tuple[Intermediary, ...]:
    """What this run says of intermediaries."""
    return analyse(made.write(folder / "run")).intermediaries


def cut(silences: list[float], completion: Completion = "reset", apart: float = 700) -> Made:
    """Streams of ten tokens that end after these silences, ms, each begun `apart` ms after the one before."""
    made = Made(plan=None)
    for number, silence in enumerate(silences):
        tokens = [apart * number + 20 * (index + 1) for index in range(10)]
        made.stream(apart * number, tokens, completion, ended=tokens[-1] + silence)
    return made


@pytest.mark.parametrize("completion", ["reset", "truncated", "protocol_error"])
def test_the_same_silence_is_a_timer(completion: Completion, tmp_path: Path) -> None:
    """However it ends the stream; the sentence has how many, how long and how much alike."""
    (timer,) = found(cut([2000, 2003, 2001, 2005, 2002, 2001], completion), tmp_path)

    assert (timer.kind, timer.streams, timer.of_streams, timer.confidence) == ("idle-timer", 6, 6, "certain")
    assert timer.seconds == pytest.approx(2.002)
    assert (
        "6 of 6 streams that did not end by themselves were cut off after 2.00 s of silence (spread 5 ms)"
        in timer.sentence
    )


def test_a_connection_that_is_closed_a_second_later_hides_no_limit(tmp_path: Path) -> None:
    """Envoy cuts a stream after 15 s, and closes 1 s later: that silence is not the timer."""
    made = Made(plan=None)
    for number in range(6):
        begun = 700 * number
        made.stream(
            begun, [begun + 100 * (index + 1) for index in range(149)], "truncated", ended=begun + 16_000 + number
        )
    (timer,) = found(made, tmp_path)

    assert (timer.kind, timer.streams) == ("response-timer", 6)
    assert timer.seconds == pytest.approx(15, rel=0.001)
    assert "after 15.00 s from the request, while data arrived" in timer.sentence
    assert "15 s by default: Envoy's route timeout" in timer.sentence


def test_an_idle_timer_of_a_second_is_one(tmp_path: Path) -> None:
    """Where streams of any length end after it."""
    made = Made(plan=None)
    for number, count in enumerate((60, 90, 120, 150, 200, 250)):
        tokens = [700 * number + 100 * (index + 1) for index in range(count)]
        made.stream(700 * number, tokens, "reset", ended=tokens[-1] + 1000 + number)
    (timer,) = found(made, tmp_path)

    assert timer.kind == "idle-timer"
    assert timer.seconds == pytest.approx(1.0025, rel=0.01)


def test_a_timer_that_nginx_did_not_set_anew_for_the_last_tokens_is_one(tmp_path: Path) -> None:
    """It is up to 300 ms early, by how the tokens before the silence were spaced."""
    (timer,) = found(cut([4700, 4990, 4760, 4905, 4820, 4960, 4735, 4870]), tmp_path)

    assert (timer.kind, timer.streams, timer.of_streams, timer.confidence) == ("idle-timer", 8, 8, "certain")
    assert timer.spread_ms == pytest.approx(290)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (cut([2000, 2001]), "two are no pattern"),
        (cut([200, 201, 202, 200, 201, 203]), "what is shorter than a second is no timer for idle connections"),
        (cut([2000] * 6, "idle_timeout"), "that is our own timer"),
        (cut([1000, 1290, 1100, 1200]), "a few that are 300 ms apart are so by chance"),
        (cut([2000, 2001, 2002, 4000, 7000, 9000, 12000]), "fewer than half of those that were cut off"),
    ],
)
def test_no_timer(made: Made, why: str, tmp_path: Path) -> None:
    """Nothing is said."""
    assert found(made, tmp_path) == (), why


def test_one_moment_may_be_a_restart(tmp_path: Path) -> None:
    """Streams that begin and end together may have been ended by one event: likely at most, and it says why."""
    (timer,) = found(cut([2000, 2003, 2001, 2005, 2002, 2001], apart=0), tmp_path)

    assert (timer.confidence, timer.reason) == ("likely", "they all ended at one moment: a restart looks the same")


def test_chance_makes_no_timer() -> None:
    """A thousand runs, each of 3 to 40 streams that end after silences of any length."""
    source = random.Random(7)
    claimed = 0
    for _ in range(1000):
        silences = [source.uniform(1000, 60_000) for _ in range(source.randint(3, 40))]
        claimed += bool(list(timers(cut(silences).streams().ended)))

    assert claimed <= 2  # at 1 in 1000
