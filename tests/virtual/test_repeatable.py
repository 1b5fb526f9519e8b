"""In virtual time experiments in a lab repeat to the byte, and a delay is exactly what was asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import other_python
import pytest
import warm
from clocks import EXPERIMENTS, REPEATING

from chaoskit.records.directory import first_difference
from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase, Request, ServedResponse, SocketRead, TcpInfo
from chaoskit.substrate.uml import GuestKernel

SEVEN = """\
name: seven
question: Is 7 ms 7 ms?
stage: {lab: edge, ip: "%s"}
workload: {max-concurrency: 2, output-tokens: 50}
server: {first-token: {median: 50ms, p99: 50ms}, token-interval: 20ms}
faults:
  down: {link: client-router, direction: down, netem: {delay: 7ms}}
  up: {link: client-router, direction: up, netem: {delay: 7ms}}
  both: {link: client-router, direction: both, netem: {delay: 7ms}}
  lossy: {link: client-router, direction: both, netem: {delay: 7ms, loss: 10%%}}
timeline: [{baseline: 3s}, {down: 3s}, {up: 3s}, {both: 3s}, {recovery: 2s}, {lossy: 3s}]
"""
TLS = """\
name: tls
question: Is a secure stream as good?
stage: {lab: edge, ip: 6, tls: true}
workload: {http: 2, max-concurrency: 2, output-tokens: 30, prompt-size: 4kB}
client: {maxseg: 1360, sysctl: {net.ipv4.tcp_mtu_probing: 1}, advmss: 1200}
server: {first-token: {median: 50ms, p99: 50ms}, congestion-control: bbr}
faults:
  radio: {link: client-router, direction: down, netem: {delay: 40ms, jitter: 12ms, distribution: normal, rate: 50mbit}}
timeline: [{baseline: 2s}, {radio: 2s}]
"""
NEAR = 12_000  # ns that a packet takes through the lab by itself, by its clock reads


def words(kernel: GuestKernel, file: Path, out: Path, *options: str) -> list[str]:
    """Those of a run in virtual time."""
    return ["run", str(file), "--kernel", str(kernel.path), "--clock", "virtual", "--out", str(out), *options]


def run(kernel: GuestKernel, file: Path, out: Path, *options: str) -> str:
    """What it says."""
    answer = warm.chaoskit(*words(kernel, file, out, *options), limit=280)
    assert answer.returncode in (0, 1, 5), answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.parametrize("name", REPEATING)
def test_an_experiment_repeats_to_the_byte(name: str, shipped: Callable[[Path], Any]) -> None:
    """Two runs of one file leave the same files: every record, every stamp, the result."""
    (experiment,) = (path for path in EXPERIMENTS if path.stem == name)

    assert "repeated: every byte the same" in shipped(experiment).out


def repeated_elsewhere(kernel: GuestKernel, file: Path, place: Path) -> Path:
    """The directory of a run by another Python, in another environment and another folder."""
    there = place / "in a folder with a longer name"
    other = [str(other_python.make(place / "venv")), "-m", "chaoskit", *words(kernel, file, there)]
    done = subprocess.run(other, env=os.environ | other_python.ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 5), done.stdout + done.stderr
    return there


def test_a_lab_that_speaks_tls_repeats_too(kernel: GuestKernel, tmp_path: Path) -> None:
    """Every stream is whole and over TLS, both ends' remedies are in force, and every byte is the same elsewhere."""
    file, here = tmp_path / "tls.yaml", tmp_path / "run"
    file.write_text(f"{TLS}seed: 1\n")

    run(kernel, file, here)

    requests, infos = read(here, Request), read(here, TcpInfo)
    assert {(each.completion, each.http) for each in requests} == {("complete", "HTTP/2")}
    assert all(each.tls_duration for each in requests)
    assert {info.fields["snd_mss"] for info in infos} == {1348}
    assert {served.tcp_info["snd_mss"] for served in read(here, ServedResponse)} == {1188}
    assert len(requests) >= 4
    assert first_difference(here, repeated_elsewhere(kernel, file, tmp_path)) == ""


@pytest.fixture(scope="module", params=["4", "6"])
def seven(request: pytest.FixtureRequest, kernel: GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run over one IP version, with a phase for each direction."""
    folder = tmp_path_factory.mktemp("seven")
    (folder / "seven.yaml").write_text(SEVEN % request.param + "seed: 1\n")
    run(kernel, folder / "seven.yaml", folder / "run")
    return folder / "run"


@pytest.mark.parametrize("seven", ["4"], indirect=True)
def test_the_environment_changes_no_byte(kernel: GuestKernel, seven: Path, tmp_path: Path) -> None:
    """Nor the locale, the folder, or what else is installed and imported: all that waits, waits for the same ticks."""
    assert read(seven, Request)
    assert first_difference(seven, repeated_elsewhere(kernel, seven.parent / "seven.yaml", tmp_path)) == ""


@pytest.mark.parametrize("seven", ["4"], indirect=True)
def test_another_seed_is_another_run(kernel: GuestKernel, seven: Path, tmp_path: Path) -> None:
    """It is the seed that makes two runs the same, not a lack of chance."""
    (tmp_path / "other.yaml").write_text(SEVEN % "4" + "seed: 2\n")

    run(kernel, tmp_path / "other.yaml", tmp_path / "other")

    assert read(seven, SocketRead) != read(tmp_path / "other", SocketRead)


@pytest.mark.parametrize(("direction", "trip"), [("down", 7), ("up", 7), ("both", 14)])
def test_seven_milliseconds_are_seven(direction: str, trip: int, seven: Path) -> None:
    """Every handshake's round trip is the delay to within 2 us, and every token arrives that much after it left."""
    away = next(phase for phase in read(seven, Phase) if phase.name == direction)
    trips = [
        info.fields["rtt"]
        for info in read(seven, TcpInfo)
        if info.when == "connected" and away.ready + 10**8 < info.at < away.until
    ]
    down = [
        line.at - event.sent
        for line in read(seven, SocketRead)
        for event in line.events
        if event.sent is not None and away.ready < event.sent and line.at < away.until
    ]
    one_way = 0 if direction == "up" else 7_000_000

    assert trips
    assert all(abs(rtt - trip * 1000) <= 2 for rtt in trips), sorted(set(trips))
    assert len(down) > 100
    assert all(0 <= late - one_way < NEAR for late in down), (min(down), max(down))
