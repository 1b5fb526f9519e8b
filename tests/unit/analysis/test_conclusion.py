"""Outcomes and warnings beside the objectives: lost full segments, bugs of chaoskit, an early end."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import Made, ns, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.records.model import ServedResponse, TcpInfo
from chaoskit.spec.server import Server

FRESH = {"snd_mss": 1448, "advmss": 1448, "pmtu": 1500, "bytes_acked": 1, "delivered": 1}
STUCK = {
    **FRESH,
    "unacked": 6,
    "sacked": 1,
    "lost": 5,
    "retransmits": 4,
    "rto": 3_200_000,
    "bytes_sent": 13592,
    "bytes_retrans": 5792,
    "last_data_sent": 0,
    "total_retrans": 4,
}
OBJECTIVES = [
    "interruption_rate <= 1%",
    "ttft_p50 < 1s during wifi",
    "ttft_p50 < 50ms during baseline",
    "ttft_p50 < 2s",
]


def result(run: Path, begin: float, passed: int = 0) -> Result:
    """The result of a run with a hundred sound streams, and twenty that are stuck upstream from `begin` on.

    On `passed` other streams full segments pass at the same time.
    """
    made = Made(plan(OBJECTIVES)).phases().many(0, 9000, 90).vitals(30_000)
    for index in range(20):
        at = begin + 100 * index
        number = made.stream(at, completion="first_token_timeout", ended=at + 5000, connection=1000 + index)
        made.records.append(TcpInfo(number, "connected", ns(at), FRESH))
        made.records.append(TcpInfo(number, "stuck", ns(at + 3000), STUCK))
    for index in range(passed):
        at = begin + 100 * index
        number = made.stream(at, [at + 100], connection=2000 + index)
        made.records.append(TcpInfo(number, "connected", ns(at), FRESH))
        made.records.append(TcpInfo(number, "end", ns(at + 100), {**FRESH, "bytes_acked": 8000, "delivered": 7}))
    made.counters("wifi", 900, 100, 10_000, 20_000).handshakes(1000, [1] * 9).handshakes(11_000, [31] * 9)
    return analyse(made.served(0, 5, 5).write(run))


def test_a_broken_objective_names_black_holes(tmp_path: Path) -> None:
    """In the phase that it looks at, with their direction; not where another phase was meant."""
    found = result(tmp_path, 11_000)
    words = "; full segments were lost up in wifi"

    assert [verdict.verdict for verdict in found.objectives] == ["broken", "broken", "broken", "met"]
    assert [words in verdict.reason for verdict in found.objectives] == [True, True, False, False]


def test_what_is_likely_is_not_said_flatly(tmp_path: Path) -> None:
    """A finding that is not certain carries its confidence and its reason wherever it is said."""
    reason = "segments of that size passed on 3 other streams: one path of several, or a queue by bytes"
    words = f"full segments were probably lost up in wifi ({reason})"

    found = result(tmp_path / "wifi", 11_000, passed=3)
    (finding,) = (one for phase in found.phases for one in phase.path_mtu)
    before = result(tmp_path / "baseline", 1000, passed=3)

    assert [words in verdict.reason for verdict in found.objectives] == [True, True, False, False]
    assert (finding.confidence, finding.reason) == ("likely", reason)
    assert finding.sentence.startswith("up: black hole for full segments, likely: ")
    assert any(
        each.startswith("baseline: no fault was in force, and full segments were probably lost up (")
        for each in before.warnings
    )


@pytest.mark.parametrize(("begin", "count"), [(1000, 1), (11_000, 0)])
def test_a_black_hole_without_a_fault_is_a_warning(begin: float, count: int, tmp_path: Path) -> None:
    """A path with a black hole of its own makes the baseline useless; where a fault is in force it is intended."""
    found = result(tmp_path, begin)

    warning = "baseline: no fault was in force, and full segments were lost up"
    assert [said for said in found.warnings if "no fault was in force" in said] == [warning] * count


def test_an_internal_error_has_its_exit_code(tmp_path: Path) -> None:
    """A stream that a bug in chaoskit ended makes the exit code 70, with a sentence, whatever else was found."""
    made = Made(plan(OBJECTIVES[2:3])).phases().many(0, 29_000, 90).vitals(30_000)
    made.stream(5000, completion="internal_error", ended=5100, detail="a mistake in chaoskit: KeyError in a.py:7")

    found = analyse(made.write(tmp_path))

    assert found.objectives[0].verdict == "broken"
    assert found.exit_code == 70
    assert found.internal_error == "1 stream ended by a mistake in chaoskit: KeyError in a.py:7; please report it"


def test_a_run_that_was_stopped_early_is_undecided(tmp_path: Path) -> None:
    """A run that ended before it was complete is undecided, and says why."""
    early = "stopped after 1s, before all requests had ended"
    made = Made(plan(OBJECTIVES[3:])).phases().many(0, 29_000, 90).vitals(30_000)
    made.outcome = {"how": "finished", "detail": early}

    found = analyse(made.write(tmp_path))

    assert (found.outcome.verdict, found.outcome.reason, found.exit_code) == ("undecided", early, 5)


@pytest.mark.parametrize("how", ["interrupted", "finished"])
@pytest.mark.parametrize(("waited", "verdict"), [(500, "undecided"), (1500, "broken")])
def test_what_the_end_of_a_run_did_not_wait_for_is_unknown(tmp_path: Path, how: str, waited: int, verdict: str) -> None:
    """Streams that are cut off took longer than what was waited: that breaks a bound below it, and no other."""
    made = Made(plan(["ttft_p50 < 1s during wifi"])).phases().many(0, 9000, 90).vitals(30_000)
    for number in range(80):
        made.stream(10_100 + number, completion="cancelled", ended=10_180 + waited)
    made.outcome = {"how": how, "detail": "SIGINT" if how == "interrupted" else ""}
    made.write(tmp_path)

    (objective,) = analyse(tmp_path).objectives

    assert objective.verdict == verdict


@pytest.mark.parametrize("pauses", [False, True])
def test_a_pause_of_its_script_is_no_warning(tmp_path: Path, pauses: bool) -> None:
    """A reference server that is behind its schedule is a warning, unless its script pauses."""
    planned = plan(())
    if pauses:
        assert planned.server is not None
        server = Server.model_validate({"pause": {"after": "3 tokens", "for": "5s"}})
        planned = planned.model_copy(update={"server": server})
    made = Made(planned).phases().many(0, 9000, 90)
    made.records.append(ServedResponse(0, ns(0), ns(79), ns(9000), 60, 60, 5_000_000_000, "sent"))

    found = analyse(made.vitals(30_000).write(tmp_path))

    assert any("behind its own schedule" in said for said in found.warnings) != pauses
