"""A black hole is told from random loss, in bursts of up to 30 % too: on a real kernel, of hundreds of streams.

Each run is looked at twice: with what the reference server recorded, and as if the server were another's, from the
client's side alone. A server that never heard of chaoskit is measured as well.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import warm
from foreign_paths import CASES

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import PathMtu
from chaoskit.analysis.load import RawRecords, load_records
from chaoskit.analysis.network.path_mtu import path_mtu
from chaoskit.analysis.streams.timeline import build_timeline
from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

PROGRAM = Path(__file__).parent / "foreign_paths.py"
LOSSES = {
    "burst-14": "gemodel: {p: 4%, r: 25%}",
    "burst-29": "gemodel: {p: 10%, r: 25%}",
    "burst-30": "gemodel: {p: 3%, r: 7%}",
    "burst-25": "gemodel: {p: 1%, r: 3%}",
    "random-30": "share: 30%",
}
EXPERIMENT = """\
name: chance
question: Is it a black hole?
stage: %s
workload: {%s, request-rate: 2/s, timeouts: {connect: 5s, first-token: 5s, idle: 5s}}
server: {first-token: {median: 300ms, p99: 400ms}, token-interval: %s}
client: {sysctl: {net.ipv4.tcp_mtu_probing: %d}}
seed: %d
faults:
%stimeline:
  - baseline: 5s
%s"""
LOADS = {
    "long-requests-and-answers": ("{lab: edge}", "prompt-size: 8kB, output-tokens: 100", "10us", 1),
    "certificates": ('{lab: edge, tls: true, ip: "6"}', 'http: "2", prompt-size: 3kB, output-tokens: 50', "20ms", 0),
}
WAYS = ("up", "down", "both")
LOSSY = {
    f"{loss}-{way}": f"{{link: client-router, direction: {way}, netem: {{delay: 15ms, loss: {{{words}}}}}}}"
    for loss, words in LOSSES.items()
    for way in WAYS
}
HOLES = [f"{name}-{way}" for way in WAYS for name in ("hole", "hole-lossy")]


def lossy(load: str) -> dict[str, str]:
    """The faults of this load: every loss, but every other way of it."""
    return dict(list(LOSSY.items())[list(LOADS).index(load) :: len(LOADS)])


def experiment(load: str, seed: int) -> str:
    """The losses of this load, and holes in every direction, apart from each other."""
    faults = "".join(f"  {name}: {words}\n" for name, words in lossy(load).items())
    for name in HOLES:
        loss, _, way = name.rpartition("-")
        faults += f"""  {name}:
    - {{link: client-router, direction: down, netem: {{delay: 20ms{", loss: 3%" * (loss == "hole-lossy")}}}}}
    - {{direction: {way}, pmtu: {{mtu: 1300, signal: dropped}}}}
"""
    stage, work, interval, probing = LOADS[load]
    lengths = dict.fromkeys(lossy(load), "7s") | dict.fromkeys(HOLES, "10s")
    phases = "".join(f"  - {name}: {length}\n  - recovery: 3s\n" for name, length in lengths.items())
    return EXPERIMENT % (stage, work, interval, probing, seed, faults, phases)


@pytest.fixture(scope="module", params=LOADS)
def records(
    request: pytest.FixtureRequest, kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory
) -> RawRecords:
    """Of one run of this load."""
    folder = tmp_path_factory.mktemp("chance")
    file = folder / "chance.yaml"
    file.write_text(experiment(request.param, seed=5))
    words = ["run", str(file), "--kernel", str(kernel.path), "--clock", "virtual", "--out", str(folder / "run")]
    answer = warm.chaoskit(*words, limit=280)
    assert answer.returncode in (0, 5), answer.stdout + answer.stderr
    return load_records(folder / "run")


@pytest.fixture(params=["the reference server", "another's"])
def findings(request: pytest.FixtureRequest, records: RawRecords) -> dict[str, list[PathMtu]]:
    """Those of each phase that claim a black hole."""
    seen = records if request.param == "the reference server" else replace(records, served=[], unacked=[], plan=None)
    found = path_mtu(seen, build_timeline(seen.phases, seen.last_stamp))
    return {name: [one for one in those if claims(one)] for name, those in found.items()}


def claims(finding: PathMtu) -> bool:
    """Whether it says that a black hole is there."""
    return finding.kind in ("black-hole", "probed") and finding.confidence != "none"


@pytest.mark.timeout(300)
def test_random_loss_is_never_a_black_hole(findings: dict[str, list[PathMtu]]) -> None:
    """In no phase without one."""
    false = {name: [one.sentence for one in those] for name, those in findings.items() if "hole" not in name and those}

    assert len(findings) >= 2 + len(LOSSY) // len(LOADS) + len(HOLES)
    assert false == {}


@pytest.mark.parametrize("lossy", ["hole", "hole-lossy"])
@pytest.mark.parametrize("way", WAYS)
def test_a_black_hole_is_found(way: str, lossy: str, findings: dict[str, list[PathMtu]]) -> None:
    """In its direction; where both have one, in the one that the stream meets first."""
    found = findings[f"{lossy}-{way}"]

    assert {one.direction for one in found} <= ({way} if way != "both" else {"up", "down"})
    assert found


@pytest.fixture(scope="module")
def foreign(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[PathMtu]]:
    """What `chaoskit probe` finds at a server of Python's own library."""
    folder = tmp_path_factory.mktemp("foreign")
    command = Command((sys.executable, str(PROGRAM), str(folder)), folder, Duration.parse("240s"))
    guest = uml.Uml(kernel, options=uml.virtual_time(1)).launch(command, RealClock())
    assert guest.finish() == 0, guest.log.read_text()
    return {name: list(analyse(folder / name / "run").phases[0].path_mtu) for name in CASES}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_a_foreign_server_behind_loss_or_a_black_hole(case: str, foreign: dict[str, list[PathMtu]]) -> None:
    """A black hole on the way down is likely where there is one, and nowhere else."""
    found = [one for one in foreign[case] if claims(one)]

    if case.startswith("hole"):
        assert [(one.kind, one.direction, one.confidence) for one in found] == [("black-hole", "down", "likely")]
    else:
        assert found == []
