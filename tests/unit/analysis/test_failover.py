"""What users see of a failed host: each outcome of the matrix from records made by hand, and the times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from made_runs import Made, ns, plan
from made_spans import MadeChain, trace

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.chains.chain_results import PhaseTiers
from chaoskit.records.model import Completion, Event, SocketRead

FIVE = [100.0, 120, 140, 160, 180]


def outcomes(
    tmp_path: Path,
    attempts: Sequence[tuple[float, float, str | None]],
    tokens: Sequence[float] = FIVE,
    numbers: Sequence[int] | None = (0, 1, 2, 3, 4),
    completion: Completion = "complete",
    error: str | None = None,
    hedge: bool = False,
    **more: object,
) -> dict[str, int]:
    """The outcomes of a run with one request, whose model was attempted in these stretches with these errors."""
    work = Made(plan()).phases()
    work.stream(0, tokens, completion, ended=500, trace=trace(0), asked=5, **more)
    if numbers is not None:
        reads = [each for each in work.records if isinstance(each, SocketRead)]
        work.records = [each for each in work.records if not isinstance(each, SocketRead)]
        stamps = zip(reads, numbers, strict=True)
        work.records += [
            SocketRead(
                0, each.number, each.at, each.read_at, each.looked_at, 100, (Event("content", seq, ns(0), ns(1)),)
            )
            for each, seq in stamps
        ]
    chain = MadeChain(work, trace(0))
    root = chain.span(None, "gateway", "workflow", 1, 500, error)
    hop = chain.span(root, "gateway", "model", 2, 499, error)
    for number, (begin, end, failure) in enumerate(attempts, 1):
        told: dict[str, object] = {"HEDGE": True} if hedge and number > 1 else {}
        chain.span(
            hop, "gateway", "model", begin, end, failure, ATTEMPT=number, SERVER_ADDRESS=f"model-{number}", **told
        )
    result = analyse(work.write(tmp_path / "run"))
    assert result.tiers is not None
    return {each.name: each.count for each in result.tiers.failover}


BEFORE, MIDDLE = [(2, 50, "refused"), (60, 499, None)], [(2, 130, "reset"), (135, 499, None)]


def test_nothing_happened(tmp_path: Path) -> None:
    """One attempt, or a hedge that was no failure: nothing is told."""
    assert outcomes(tmp_path / "a", [(2, 499, None)]) == {}
    assert outcomes(tmp_path / "b", [(2, 499, None), (50, 499, "cancelled")], hedge=True) == {}


def test_a_retry_before_the_first_token_is_not_seen(tmp_path: Path) -> None:
    """The first attempt was refused, the second one answered from its beginning."""
    assert outcomes(tmp_path, BEFORE) == {"retried-before-first-token": 1}


def test_an_answer_that_goes_on_is_resumed(tmp_path: Path) -> None:
    """Asked again in the middle, and the numbers of the events go on."""
    assert outcomes(tmp_path, MIDDLE) == {"resumed-with-prefix": 1}


def test_an_answer_that_begins_again_is_duplicated(tmp_path: Path) -> None:
    """The numbers fall back; where something on the way removed them, there are more than were asked for."""
    seven = [*FIVE, 200, 220]

    assert outcomes(tmp_path / "a", MIDDLE, numbers=(0, 1, 0, 1, 2)) == {"duplicated-text": 1}
    assert outcomes(tmp_path / "b", MIDDLE, tokens=seven, numbers=None) == {"duplicated-text": 1}
    assert outcomes(tmp_path / "c", MIDDLE, numbers=None) == {"resumed-with-prefix": 1}


def test_an_answer_that_broke_off_and_looks_whole(tmp_path: Path) -> None:
    """A clean end without the marker, and a marker that the gateway made itself."""
    cut = [(2, 130, "reset")]

    assert outcomes(tmp_path / "a", cut, FIVE[:2], (0, 1), "truncated", "reset") == {"truncated-as-success": 1}
    assert outcomes(tmp_path / "b", cut, FIVE[:2], (0, 1), "complete", "reset") == {"truncated-as-success": 1}


@pytest.mark.parametrize("completion", ["error_event", "http_error", "reset", "idle_timeout", "first_token_timeout"])
def test_anything_else_is_an_error(tmp_path: Path, completion: Completion) -> None:
    """The user's program knows."""
    assert outcomes(tmp_path, [(2, 130, "reset")], FIVE[:2], (0, 1), completion, "reset") == {"error-shown": 1}


def moved() -> Made:
    """Requests each 100 ms for 30 s: the model fails from 10.25 s on, and is asked again from 22 s on."""
    work = Made(plan()).phases()
    for number in range(300):
        at = number * 100
        work.stream(at, [at + 50, at + 70], trace=trace(number))
        chain = MadeChain(work, trace(number))
        hop = chain.span(chain.span(None, "gateway", "workflow", at, at + 80), "gateway", "model", at, at + 80)
        is_away = 10_250 <= at < 22_000
        if is_away:
            chain.span(hop, "gateway", "model", at, at + 5, "refused", ATTEMPT=1, SERVER_ADDRESS="model-a")
        answered = "model-b" if is_away else "model-a"
        chain.span(hop, "gateway", "model", at + 5, at + 80, ATTEMPT=1 + is_away, SERVER_ADDRESS=answered)
    return work


def test_the_times_to_fail_over_and_back(tmp_path: Path) -> None:
    """305 ms after the fault was in force model-b is asked, and model-a again 2005 ms after it was gone."""
    result = analyse(moved().write(tmp_path / "run"))

    wifi = result.phase("wifi")
    assert isinstance(wifi.tiers, PhaseTiers)
    (found,) = wifi.tiers.failover_times
    assert (found.operation, found.usual, found.instead, found.calls) == ("model", "model-a", "model-b", 97)
    assert (found.over_ms, found.back_ms) == (305, 2005)
    assert {each.name: each.count for each in wifi.tiers.failover} == {"none": 3, "retried-before-first-token": 97}
    recovery = result.phase("recovery")
    assert isinstance(recovery.tiers, PhaseTiers)
    assert recovery.tiers.failover_times == ()
