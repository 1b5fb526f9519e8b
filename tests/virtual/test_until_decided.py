"""Runs of interleaved rounds that end when all is decided: after the round in which they know, or when time is up."""

from __future__ import annotations

import subprocess
from pathlib import Path

import warm
from clocks import known
from test_repeatable import run

from chaoskit.analysis.analyse import analyse
from chaoskit.planning.model import load_plan
from chaoskit.records.jsonl import read
from chaoskit.records.look_record import Look
from chaoskit.records.model import Phase, Request
from chaoskit.substrate.uml import GuestKernel

FILE = """\
name: until
question: When is it decided?
stage: {lab: edge}
workload: {request-rate: 10/s, output-tokens: 5}
server: {first-token: {median: 50ms, p99: 200ms}, token-interval: 20ms}
faults: {slow: {link: client-router, direction: down, netem: {delay: 30ms}}}
timeline: [{baseline: 2s}, {slow: 2s}]
repeats: 2
order: interleaved
objectives: [ttft_p50 during slow > 1.1x baseline, %s, ttft_p50 < 5s during slow]
workloads:
  beside: {request-rate: 2/s, output-tokens: 5, objectives: [ttft_p50 < 5s]}
"""
SECOND = 10**9


def reported(out: Path) -> subprocess.CompletedProcess[str]:
    """What `chaoskit report` says."""
    return warm.chaoskit("report", str(out))


def test_a_run_ends_with_the_round_that_decides(kernel: GuestKernel, tmp_path: Path) -> None:
    """Long before its time is up, after whole pairs of rounds, without a request after their end; its verdicts are
    those of its looks and of `report`, and it repeats to the byte. Phases come as drawn, each with its own delay."""
    file, out = tmp_path / "until.yaml", tmp_path / "run"
    file.write_text(FILE % "ttft_p50 < 1s")

    said = run(kernel, file, out, "--until-decided", "--max-time", "80s", "--verify-repeatable")

    assert "repeated: every byte the same" in said
    *phases, drain = read(out, Phase)
    rounds = phases[-1].round + 1
    assert rounds % 2 == 0
    assert rounds < 20
    assert len(phases) == 2 * rounds
    assert drain.begin == phases[0].begin + rounds * 4 * SECOND
    requests = [*read(out, Request), *read(out / "workloads" / "beside", Request)]
    assert max(each.scheduled for each in requests) < drain.begin
    assert {each.completion for each in requests} == {"complete"}
    looks = read(out, Look)
    assert [each.round for each in looks] == list(range(2, rounds + 1, 2))
    assert looks[-1].undecided == ()
    assert 0 <= looks[-1].at - (drain.begin - 4 * SECOND // 10) < SECOND // 100
    assert len(looks[-1].met) == 4
    found = analyse(out)
    assert (found.outcome.verdict, found.exit_code) == ("met", 0)
    assert found.until_decided is not None
    assert (found.until_decided.made, found.until_decided.most) == (len(looks), 10)
    assert "at most 20 rounds interleaved, in pairs" in said
    came = [(each.name, each.round) for each in phases]
    assert came == [(each.name, each.round) for each in load_plan(out).phases][: len(came)]
    assert [name for name, _ in came[:2]] == [name for name, _ in came[3:1:-1]]
    medians = {phase.name: phase.metrics.ttft.p50_ms for phase in found.phases}
    assert 25 < known(medians["slow"]) - known(medians["baseline"]) < 75  # 30 ms, with or without the handshake
    told = reported(out)
    assert told.returncode == 0
    assert "of at most 10: intervals at 98.9 %" in told.stdout
    assert ", 98.9 %: " in told.stdout


def test_a_run_whose_time_is_up_is_undecided(kernel: GuestKernel, tmp_path: Path) -> None:
    """Of an objective for which there are too few streams; the result is the last look."""
    file, out = tmp_path / "until.yaml", tmp_path / "run"
    file.write_text(FILE % "interruption_rate < 1%")

    said = run(kernel, file, out, "--until-decided", "--max-time", "16s")

    phases = read(out, Phase)
    assert phases[-1].begin == phases[0].begin + 16 * SECOND
    (look,) = read(out, Look)
    assert look.round == 2
    assert look.undecided == ("interruption_rate < 1%",)
    assert analyse(out).exit_code == 5
    assert "Looked twice of at most 2: intervals at 97.1 %" in said
    assert "the time was up after 4 rounds; the result is the last look" in said
