"""A service lab in virtual time: what faults at links and pairs do, and other workloads on the same links."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase, Request, TcpInfo
from chaoskit.substrate import uml

FILE = """\
name: two-models
question: Whose trouble is it?
stage:
  lab: service
  hosts:
    model: {reference: true}
    store: {reference: {first-token: {median: 20ms, p99: 20ms}, token-interval: 1ms}}
  target: http://model:8000/v1/chat/completions
workload: {request-rate: 4/s, burstiness: 0, output-tokens: 20, timeouts: {first-token: 3s, idle: 3s}}
server: {first-token: {median: 100ms, p99: 100ms}, token-interval: 20ms}
workloads:
  crud:
    target: http://store:8000/v1/chat/completions
    request-rate: 5/s
    burstiness: 0
    output-tokens: 1
    objectives: ["ttft_p95 < 50ms during far-store", "ttft_p50 < 30ms during cut-model"]
    timeouts: {first-token: 3s, idle: 3s}
faults:
  far-store: {between: [client, store], direction: to-store, netem: {delay: 80ms}}
  cut-model: {host: model, link: cut}
  slow-model: {host: model, direction: from-model, netem: {delay: 50ms}}
  narrow: {host: model, direction: from-model, pmtu: 1400}
  clamped: {between: [client, model], mss-clamp: 1000}
timeline: [{baseline: 6s}, {far-store: 6s}, {slow-model: 6s}, {narrow: 6s}, {clamped: 3s}, {cut-model: 4s}]
objectives: ["ttft_p50 < 110ms during baseline", "ttft_p50 < 110ms during far-store"]
"""


@pytest.fixture(scope="module")
def run(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run it."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "x.yaml").write_text(FILE)
    words = ["run", str(folder / "x.yaml"), "--clock", "virtual", "--kernel", str(kernel.path)]
    words += ["--out", str(folder / "run")]
    done = warm.chaoskit(*words, limit=280)
    assert done.returncode == 1, done.stdout + done.stderr  # crud's first objective is broken
    return folder / "run"


@pytest.fixture(scope="module")
def result(run: Path) -> Result:
    """Its result."""
    return analyse(run)


def median(phases: Any, name: str) -> float:
    """The median time to the first token in a phase."""
    (found,) = (phase.metrics.ttft.p50_ms for phase in phases if phase.name == name)
    return float(found)


def test_a_fault_of_a_pair_hits_this_pair_alone(result: Result) -> None:
    """The requests to the other host are as quick as before."""
    (crud,) = result.workloads
    assert median(result.phases, "far-store") == pytest.approx(median(result.phases, "baseline"), abs=1)
    delayed = median(crud.phases, "far-store") - median(crud.phases, "baseline")
    assert delayed == pytest.approx(160, abs=2)  # SYN and request


def test_a_fault_of_a_host_hits_all_that_it_sends(result: Result) -> None:
    """Of each request the handshake and the answer."""
    delayed = median(result.phases, "slow-model") - median(result.phases, "baseline")
    assert delayed == pytest.approx(100, abs=2)
    (crud,) = result.workloads
    assert median(crud.phases, "slow-model") == pytest.approx(median(crud.phases, "baseline"), abs=1)


def test_a_cut_link_loses_everything_and_nothing_else(result: Result) -> None:
    """No stream that begins has a token, and the other host answers as before."""
    cut = result.phase("cut-model")
    assert cut.metrics.complete == 0
    (crud,) = result.workloads
    assert median(crud.phases, "cut-model") == pytest.approx(median(crud.phases, "baseline"), abs=1)


def test_a_path_mtu_for_one_sender_is_signalled_to_it(result: Result) -> None:
    """The faults came about, by the counters of routers and filters; what was not exercised is said."""
    checks = {(check.phase, check.kind): check.verdict for check in result.fidelity}
    assert checks["narrow", "oversized"] in ("achieved", "not-exercised")
    assert checks["cut-model", "lost"] == "achieved"
    assert checks["clamped", "mss"] == "achieved"  # by the sockets of both hosts
    assert checks["far-store", "round-trip"] == "not-measured"  # the client's handshakes do not take that way
    assert "not-achieved" not in checks.values()


def test_handshakes_of_a_pair_are_clamped(run: Path) -> None:
    """Connections to the model that were made meanwhile have shorter segments, those to the other host have not."""
    (clamped,) = [phase for phase in read(run, Phase) if phase.name == "clamped"]
    for folder, is_clamped in ((run, True), (run / "workloads" / "crud", False)):
        made = {r.stream for r in read(folder, Request) if clamped.ready <= r.started < clamped.until}
        sizes = {info.fields["snd_mss"] for info in read(folder, TcpInfo) if info.stream in made}
        assert made
        assert (max(sizes) <= 1000) == is_clamped


def test_the_objectives_of_another_workload_decide_too(result: Result) -> None:
    """One of them is broken, which its name tells."""
    (crud,) = result.workloads
    assert [each.verdict for each in crud.objectives] == ["broken", "met"]
    assert result.outcome.verdict == "broken"
    assert result.outcome.reason.startswith("crud: ttft_p95 < 50ms during far-store")
    assert result.exit_code == 1


def test_the_records_of_other_workloads_lie_apart(run: Path) -> None:
    """In a folder of their name, with stream numbers of their own."""
    lines = (run / "workloads" / "crud" / "requests.jsonl").read_text().splitlines()
    own = (run / "requests.jsonl").read_text().splitlines()
    numbers = {json.loads(line)["stream"] for line in lines}
    assert len(numbers) == len(lines) > 100
    assert numbers.isdisjoint(json.loads(line)["stream"] for line in own)
