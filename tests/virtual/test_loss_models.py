"""Every loss model is achieved as requested, up to half of all packets lost, and a wrong delay is found under it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.load import load_records
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.network.fidelity import fidelity
from chaoskit.analysis.result import FidelityCheck, Result
from chaoskit.analysis.streams.timeline import build_timeline
from chaoskit.substrate.uml import GuestKernel

DELAY, LONG = 15, 1500
LOSSES = {
    "random-10": "10%",
    "random-30": "30%",
    "random-50": "50%",
    "correlated-20": "{share: 20%, correlation: 50%}",
    "correlated-50": "{share: 50%, correlation: 25%}",
    "gemodel-10-25": "{gemodel: {p: 10%, r: 25%}}",
    "gemodel-20-20": "{gemodel: {p: 20%, r: 20%}}",
    "gemodel-30-30": "{gemodel: {p: 30%, r: 30%}}",
    "gemodel-short": "{gemodel: {p: 30%}}",
    "gemodel-long": "{gemodel: {p: 10%, r: 30%, loss-in-bad: 80%, loss-in-good: 5%}}",
    "state-30": "{state: {p13: 10%, p31: 25%}}",
    "state-long": "{state: {p13: 10%, p31: 30%, p32: 20%, p23: 40%, p14: 3%}}",
}
EXPERIMENT = """\
name: loss-models
question: Is a loss model as requested ever called something else?
stage: {lab: edge, ip: "%s", tls: %s}
workload:
  http: "%s"
  request-rate: 3/s
  burstiness: 0
  output-tokens: 10
  timeouts: {connect: 5s, first-token: 5s, idle: 5s}
client: {sysctl: {net.ipv4.tcp_ecn: 1}}
server: {first-token: {median: 100ms, p99: 100ms}, token-interval: 20ms}
faults:
%s
  late: {link: client-router, direction: down, netem: {delay: %dms}}
  late-lossy: {link: client-router, direction: down, netem: {delay: %dms, loss: 30%%}}
timeline:
  - baseline: 10s
%s  - late: 20s
  - recovery: 3s
  - late-lossy: 20s
"""
WAYS = (("down", "4", "false", "1.1"), ("both", "6", "true", "2"))


def losses(direction: str) -> dict[str, str]:
    """Those of this run: every other one."""
    return dict(list(LOSSES.items())[direction == "both" :: len(WAYS)])


def experiment(direction: str, ip: str, tls: str, http: str) -> str:
    """One phase for each loss model, every other one with ECN."""
    faults, phases = "", ""
    for number, (fault, loss) in enumerate(losses(direction).items()):
        ecn = ", ecn: true" if number % 2 else ""
        netem = f"{{delay: {DELAY}ms, loss: {loss}{ecn}}}"
        faults += f"  {fault}: {{link: client-router, direction: {direction}, netem: {netem}}}\n"
        phases += f"  - {fault}: 20s\n  - recovery: 3s\n"
    return EXPERIMENT % (ip, tls, http, faults, LONG, LONG, phases)


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: "-".join(way))
def run(request: pytest.FixtureRequest, kernel: GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of one run through all of them."""
    folder = tmp_path_factory.mktemp("losses")
    file = folder / "loss-models.yaml"
    file.write_text(experiment(*request.param))
    words = ["run", str(file), "--kernel", str(kernel.path), "--clock", "virtual", "--out", str(folder / "run")]
    answer = warm.chaoskit(*words, limit=280)
    assert answer.returncode in (0, 5), answer.stdout + answer.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def result(run: Path) -> Result:
    """Of that run."""
    return analyse(run)


def round_trips(checks: Iterable[FidelityCheck]) -> dict[str, FidelityCheck]:
    """The check of each phase's round trip."""
    return {each.phase: each for each in checks if each.kind == "round-trip"}


@pytest.mark.timeout(300)
def test_a_loss_as_requested_is_never_something_else(result: Result) -> None:
    """No promise of any phase is said to be not achieved, and the run is not undecided."""
    wrong = [each for each in result.fidelity if each.verdict == "not-achieved"]

    assert [(each.phase, each.kind, each.measured, each.requested, each.remark) for each in wrong] == []
    assert result.outcome.verdict == "none"


def test_the_delay_is_told_by_what_was_not_lost(result: Result) -> None:
    """The round trip is that of the delay to 1 ms, in every phase that has enough clean handshakes: in nearly all."""
    found = round_trips(result.fidelity)
    measured = [each for each in found.values() if each.verdict == "achieved"]

    assert len(found) == len(LOSSES) // len(WAYS) + 2
    assert len(measured) >= 0.9 * len(found)
    assert all(abs((each.measured or 0) - (each.requested or 0)) < 1 for each in measured)
    assert {"achieved", "not-measured"} >= {each.verdict for each in found.values()}


@pytest.mark.parametrize("factor", [0.5, 1.5, 20, 120])
def test_a_wrong_delay_is_found_under_every_loss(factor: float, run: Path) -> None:
    """Had another delay been requested, up to seconds, every phase whose round trip was measured would say so."""
    raw = load_records(run)
    plan = raw.plan
    assert plan is not None
    expectations = [
        each.model_copy(update={"rtt": round(each.rtt * factor)}) if each.rtt else each for each in plan.expectations
    ]

    requested = plan.model_copy(update={"expectations": tuple(expectations)})
    found = round_trips(fidelity(requested, build_timeline(raw.phases, raw.last_stamp), raw, SeenConnections((), ())))

    judged = {name: each.verdict for name, each in found.items() if each.verdict != "not-measured"}
    assert len(judged) >= 0.9 * len(found)
    assert set(judged.values()) == {"not-achieved"}
