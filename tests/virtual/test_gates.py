"""Gates are green when all is well, and what is advised for an objective that lacks streams decides it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shipped as shipped_files
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.clock import RealClock
from chaoskit.spec.load import load
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.substrate.uml import GuestKernel
from chaoskit.units import Duration

TOO_SHORT = """\
name: too-short
question: Can it be decided, and by what?
stage: {lab: edge}
workload:
  request-rate: 3/s
  output-tokens: 40
faults:
  wifi: {link: client-router, direction: down, netem: {delay: 20ms}}
timeline:
  - baseline: 5s
  - wifi: 6s
objectives:
  - ttft_p95 during wifi < 3x baseline
  - stalls_per_minute < 10 during wifi
  - interruption_rate <= 5%
repeats: 1
seed: 5
"""
CHANGES = {
    "request-rate": r"(?m)^  request-rate: .*$",
    "repeats": r"(?m)^repeats: .*$",
    "wifi": r"(?m)^  - wifi: .*$",
    "baseline": r"(?m)^  - baseline: .*$",
}


def run(file: Path, out: Path, kernel: GuestKernel) -> subprocess.CompletedProcess[str]:
    """Run it in virtual time, as a user does."""
    words = ("run", str(file), "--clock", "virtual", "--kernel", str(kernel.path), "--out", str(out))
    return warm.chaoskit(*words, limit=280)


def advice(text: str) -> list[str]:
    """What a run writes to decide all its objectives, one alternative each."""
    start = "advice: to decide all 3 at once; write one of: "
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return line.removeprefix(start).split(", ")


def changed(text: str, one: str) -> str:
    """The file with one alternative."""
    for part in one.split(" and "):
        key, value = part.split(": ")
        before = re.search(CHANGES[key], text)
        assert before is not None
        text = text.replace(before[0], f"{before[0].partition(':')[0]}: {value}")
    return text


def test_a_new_gate_is_green(shipped: Callable[[Path], Any], tmp_path: Path) -> None:
    """The file that init writes is the included gate, which ends with 0, every objective met, and no warning."""
    file, included = tmp_path / "chat-gate.yaml", shipped_files.FOLDER / "release-gate.yaml"
    assert warm.chaoskit("init", str(file)).returncode == 0

    gate = shipped(included)

    assert file.read_text() == included.read_text().replace("name: release-gate", "name: chat-gate")
    assert gate.code == 0, gate.out + gate.err
    found = analyse(gate.directory).objectives
    assert [each.verdict for each in found] == ["met"] * len(load(file).objectives)
    assert "; write " not in gate.err


@pytest.fixture(scope="module")
def too_short(kernel: GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What a run of the file says as it is."""
    folder = tmp_path_factory.mktemp("short")
    (folder / "short.yaml").write_text(TOO_SHORT)
    answer = run(folder / "short.yaml", folder / "run", kernel)
    assert [each.verdict for each in analyse(folder / "run").objectives] == ["undecided"] * 3
    return answer


def test_a_run_says_before_it_starts_what_it_cannot_decide(too_short: subprocess.CompletedProcess[str]) -> None:
    """Each sentence once, on standard error; and the run ends undecided, as was said."""
    told = [line for line in too_short.stderr.splitlines() if line.startswith("warning: ")]

    assert too_short.returncode == 5
    assert [line.split(":")[1].strip() for line in told[:3]] == [
        "ttft_p95 during wifi < 3x baseline",
        "stalls_per_minute < 10 during wifi",
        "interruption_rate <= 5%",
    ]
    assert len(told) == 3
    assert too_short.stderr.startswith("warning: ")
    assert "; write " not in too_short.stdout


def test_what_is_advised_decides_a_real_run(
    too_short: subprocess.CompletedProcess[str], kernel: GuestKernel, tmp_path: Path
) -> None:
    """With the first alternative in the file nothing is undecided, and nothing is warned of."""
    one, *_ = advice(too_short.stderr)
    (tmp_path / "longer.yaml").write_text(changed(TOO_SHORT, one))

    answer = run(tmp_path / "longer.yaml", tmp_path / "run", kernel)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert [each.verdict for each in analyse(tmp_path / "run").objectives] == ["met"] * 3
    assert "; write " not in answer.stderr


ENDPOINT = """
set -eu
ip link set lo up
mkdir -p "$1/state"
export CHAOSKIT_STATE="$1/state" PATH="$2:$PATH"
cd "$1"
chaoskit serve >served 2>&1 &
server=$!
until grep -q 8000 served; do sleep 0.2; done
code=0
chaoskit run mine.yaml --set workload.output-tokens=10 --out run || code=$?
kill $server
exit $code
"""


def test_a_new_gate_for_an_endpoint_is_green(kernel: GuestKernel, tmp_path: Path) -> None:
    """The file that init writes for an endpoint ends with 0 on one that is well, here on lo, with short answers."""
    written = warm.chaoskit("init", str(tmp_path / "mine"), "--endpoint", "http://127.0.0.1:8000")
    assert written.returncode == 0, written.stderr
    words = ("bash", "-c", ENDPOINT, "bash", str(tmp_path), str(Path(sys.executable).parent))
    guest = uml.Uml(kernel, options=uml.virtual_time(1)).launch(
        Command(words, tmp_path, Duration.parse("300s")), RealClock()
    )

    assert guest.finish() == 0, guest.log.read_text()
    result = analyse(tmp_path / "run")
    assert [each.verdict for each in result.objectives] == ["met"] * 3
    assert [each.verdict for each in result.fidelity if each.kind == "round-trip"] == ["achieved"]
    assert "; write " not in guest.log.read_text()
