"""The headline: what broke, by how much, and whose fault it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.chains.chain_results import LateCause, LateFirstTokens, PathShare, PhaseTiers
from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.result import PhaseResult, Result, StallAttribution
from chaoskit.report.blame import whose
from chaoskit.report.headline import headline, word


def result(tmp_path: Path, *objectives: str) -> Result:
    """Of a run whose first tokens take 100 ms in the baseline and 400 ms under wifi."""
    made = Made(plan(objectives)).phases().many(0, 9900, 100).many(10_000, 19_900, 100, ttft=400)
    return analyse(made.counters("wifi", 900, 100, 10_000, 20_000).write(tmp_path / "run"))


def attributed(found: Result, phase: str, **causes: object) -> Result:
    """The same result with these causes in a phase."""

    def changed(each: PhaseResult) -> PhaseResult:
        return each.model_copy(update=causes) if each.name == phase else each

    return found.model_copy(update={"phases": tuple(map(changed, found.phases))})


def test_a_broken_objective(tmp_path: Path) -> None:
    """The objective, what was measured, what it was without the fault, and whose the lateness is."""
    found = attributed(
        result(tmp_path, "ttft_p50 < 200ms during wifi"),
        "wifi",
        first_token_causes={"network": 940.0, "server": 58.0, "unknown": 2.0},
    )

    assert word(found) == "BROKEN"
    assert headline(found) == (
        "ttft_p50 < 200ms during wifi is broken: 400 ms, and 100 ms in baseline; "
        "94 % of the lateness of first tokens is the network, 5.8 % the server."
    )


def test_stalls_are_whose_their_time_is(tmp_path: Path) -> None:
    """The network's by what it did."""
    stalls = StallAttribution(
        stalls=3, server_ms=8, network_ms=92, network_kinds={"loss": 80, "delay": 12}, client_ms=0, unknown_ms=0
    )
    found = attributed(result(tmp_path, "itl_p95 < 1ms during wifi"), "wifi", stall_attribution=stalls)

    assert headline(found).endswith(
        "; 80 % of the stall time is the network (loss), 12 % the network (delay), 8 % the server."
    )


def test_of_several_broken_ones_the_first(tmp_path: Path) -> None:
    """The others are counted."""
    found = result(tmp_path, "ttft_p50 < 1s", "ttft_p50 < 200ms during wifi", "ttft_p50 < 1ms during baseline")

    assert headline(found).startswith("ttft_p50 < 200ms during wifi is broken: ")
    assert headline(found).endswith(". 1 more of 3 objectives broken, too.")


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("ttft_p50 < 1s during wifi", "ttft_p50 < 1s during wifi. p95 first token 100 ms → 400 ms under wifi (4×"),
        ("ttft_p99 < 1s during wifi", "ttft_p99 < 1s during wifi: "),
    ],
)
def test_an_objective_that_is_not_broken(objective: str, said: str, tmp_path: Path) -> None:
    """The first reason for the verdict, and how late first tokens became."""
    assert headline(result(tmp_path, objective)).startswith(said)


def test_a_run_that_was_stopped(tmp_path: Path) -> None:
    """It says when and why before anything else."""
    made = (
        Made(plan(["ttft_p50 < 1ms"]), outcome={"how": "interrupted", "detail": "SIGINT"}).phases().many(0, 9000, 100)
    )
    found = analyse(made.write(tmp_path / "run"))

    assert word(found) == "INTERRUPTED"
    assert headline(found).startswith("after 30 s (SIGINT); so far: broken, ttft_p50 < 1ms: 100 ms.")


def test_a_chain_is_slow_for_a_place(tmp_path: Path) -> None:
    """Of a chain of hops the places that took longer than usual are named; of late first tokens those of the spans."""
    paths = tuple(
        PathShare(place=place, host="tools", cause="", mean_ms=added, share=0.5, usual_ms=0.0, added_ms=added)
        for place, added in (("network gateway–tools", 300.0), ("tools", 100.0), ("model", -5.0))
    )
    causes = (LateCause(place="tools", host="tools", cause="", requests=8, mean_ms=200.0, streams=(1,)),)
    late = LateFirstTokens(late=10, beyond_ms=150.0, causes=causes, unknown=2, evidence=Evidence(file="", count=10))
    found = attributed(
        result(tmp_path, "ttft_p50 < 200ms during wifi"),
        "wifi",
        tiers=PhaseTiers(rows=(), path=paths, late_first_tokens=late),
        first_token_causes={"between": 1.0},
    )
    wifi = [each for each in found.phases if each.name == "wifi"]

    assert headline(found).endswith("; 80 % of the late first tokens is tools, 20 % unknown.")
    assert list(whose(wifi, "toolchain_p90")) == [
        "75 % of what slow chains took beyond the usual is network gateway–tools, 25 % tools"
    ]
