"""A whole matrix through `chaoskit run`: every variant to its verdict or a clean end, and told again from its files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import warm
from junitparser import JUnitXml

from chaoskit.analysis.matrix import load_matrix
from chaoskit.clock import RealClock
from chaoskit.records.jsonl import read
from chaoskit.records.model import Phase, SocketRead
from chaoskit.substrate.uml import GuestKernel

FILE = """\
name: two-delays
question: Is the delay that is varied the delay that comes?
stage: {lab: edge}
workload: {max-concurrency: 2, output-tokens: 5}
server: {first-token: {median: 50ms, p99: 50ms}, token-interval: 20ms}
faults:
  away: {link: client-router, direction: down, netem: {delay: 1ms}}
timeline: [{baseline: 2s}, {away: 2s}]
objectives:
  - ttft_p50 during away < 2x baseline
matrix:
  faults.away.netem.delay: [10ms, 100ms]
"""
NEAR, FAR = "delay=10ms", "delay=100ms"
UNTIL = ("--until-decided", "--max-time", "40s")
_SECOND = 10**9


class Matrix:
    """`chaoskit run` of the two delays."""

    def __init__(self, folder: Path, kernel: GuestKernel, *options: str) -> None:
        self.file, self.out, self._said = folder / "two.yaml", folder / "run", folder / "said"
        self.file.write_text(FILE)
        self._kernel = ("--kernel", str(kernel.path), "--clock", "virtual")
        with self._said.open("w") as said:
            words = ("run", self.file, "--out", self.out, *self._kernel, *options)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chaoskit", *map(str, words)], stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    @property
    def said(self) -> str:
        """All that it has said so far."""
        return self._said.read_text()

    def reach(self, variant: str) -> None:
        """Wait until the variant's first phase has begun."""
        self._until(lambda: (self.out / variant).is_dir() and bool(read(self.out / variant, Phase)))

    def boot(self, variant: str) -> None:
        """Wait until the variant's guest starts."""
        self._until(lambda: any((self.out / variant).glob(".guest-*")))

    def _until(self, condition: Callable[[], bool]) -> None:
        clock = RealClock()
        deadline = clock.now() + 240 * _SECOND
        while not condition():
            assert clock.now() < deadline, self.said
            clock.sleep_until(clock.now() + _SECOND // 100)

    def guest(self, variant: str) -> int:
        """The first process of the guest that the variant runs in; its scratch is on the command line."""
        for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda each: int(each.name)):
            with suppress(OSError):
                line = (process / "cmdline").read_bytes()
                if b"rootfstype=hostfs" in line and str(self.out / variant).encode() in line:
                    return int(process.name)
        raise AssertionError(self.said)

    def again(self, *words: object) -> tuple[int, str]:
        """Another command's exit code and words."""
        told = warm.chaoskit(*map(str, words), limit=280)
        return told.returncode, told.stdout + told.stderr

    def repeat(self, variant: str) -> Path:
        """The run of a variant's own file."""
        out = self.out.parent / "repeated"
        code, said = self.again("run", self.out / variant / "experiment.yaml", "--out", out, *UNTIL, *self._kernel)
        assert code in (0, 1, 5), said
        return out


@pytest.fixture
def matrix(tmp_path: Path, kernel: GuestKernel) -> Iterator[Matrix]:
    """One under way, both variants side by side, ended after the test whatever became of it."""
    matrix = Matrix(tmp_path, kernel, "--jobs", "2")
    yield matrix
    matrix.process.kill()
    matrix.process.wait()


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, kernel: GuestKernel) -> Matrix:
    """One that has run to its end."""
    matrix = Matrix(
        tmp_path_factory.mktemp("ended"), kernel, *UNTIL, "--verify-repeatable", "--report", "junit,markdown"
    )
    matrix.process.wait(timeout=240)
    return matrix


def test_every_variant_is_a_run_of_its_own(ended: Matrix) -> None:
    """Each shows its own delay; the report of the folder, and of each run in it, says the same again."""
    found = load_matrix(ended.out)
    medians = [phase.metrics.ttft.p50_ms for result in found.results for phase in result.phases if phase.faults]
    assert ended.process.returncode == found.exit_code == 1, ended.said
    assert [row.result and row.result.outcome.verdict for row in found.variants] == ["met", "broken"]
    assert medians == [pytest.approx(50 + 20, abs=2), pytest.approx(50 + 200, abs=2)]
    code, said = ended.again("report", ended.out)
    assert code == 1
    assert said in ended.said
    assert [ended.again("report", ended.out / name)[0] for name in (NEAR, FAR)] == [0, 1]


def test_the_reports_of_a_run_lie_in_its_folder(ended: Matrix) -> None:
    """A suite for each variant, and a row; made again they are the same."""
    suites = JUnitXml.fromfile(str(ended.out / "junit.xml"))
    assert [(suite.name, suite.failures) for suite in suites] == [
        (f"two-delays {NEAR}", 0),
        (f"two-delays {FAR}", 1),
    ]
    assert (ended.out / "report.md").read_text().startswith("## ❌ BROKEN two-delays\n")
    for name in ("junit.xml", "report.md"):
        again, _ = ended.again("report", ended.out, "-o", ended.out.parent / name)
        assert again == 1
        assert (ended.out.parent / name).read_bytes() == (ended.out / name).read_bytes()


def test_a_variants_own_file_is_the_same_run(ended: Matrix) -> None:
    """Run by itself it gives every token again, to the nanosecond."""
    repeated = ended.repeat(FAR)

    assert read(repeated, SocketRead) == read(ended.out / FAR, SocketRead) != []


def test_an_interrupt_ends_the_rest(tmp_path: Path, kernel: GuestKernel) -> None:
    """What was begun is put back and told, what was not has no folder, and the report says so again."""
    matrix = Matrix(tmp_path, kernel, "--jobs", "1")
    matrix.reach(NEAR)

    matrix.process.send_signal(signal.SIGINT)

    code = matrix.process.wait(timeout=240)
    assert code == 130, matrix.said
    assert {path.name for path in matrix.out.iterdir()} == {"experiment.yaml", "outcome.json", NEAR}
    assert "Traceback" not in matrix.said
    again, said = matrix.again("report", matrix.out)
    assert again == code
    assert "NOT RUN" in said
    assert "(SIGINT)" in said.splitlines()[-1]


def test_an_interrupt_while_the_last_one_starts_is_one(matrix: Matrix) -> None:
    """Every variant has its folder, and which signal it was is told all the same, then and later."""
    matrix.boot(FAR)

    matrix.process.send_signal(signal.SIGTERM)

    assert matrix.process.wait(timeout=240) == 143, matrix.said
    assert matrix.again("report", matrix.out)[0] == 143
    assert load_matrix(matrix.out).variants[1].status == "interrupted"


def test_a_refused_variant_keeps_no_other_from_running(matrix: Matrix) -> None:
    """When somebody kills a guest, its variant says why, the next one runs, and all of it can be read again."""
    matrix.reach(NEAR)

    os.kill(matrix.guest(NEAR), signal.SIGKILL)

    assert matrix.process.wait(timeout=240) == 3, matrix.said
    near, far = load_matrix(matrix.out).variants
    assert near.status == "refused"
    assert near.result is not None
    assert "the guest died before its command ended" in near.result.outcome.detail
    assert far.status == "finished"
    assert "Traceback" not in matrix.said


def test_every_variant_repeats_to_the_byte(ended: Matrix) -> None:
    """`--verify-repeatable` runs each of them twice; with `--until-decided` until its own objectives are decided."""
    assert ended.said.count("repeated: every byte the same") == 2
    for variant in load_matrix(ended.out).variants:
        assert variant.result is not None
        assert variant.result.until_decided is not None
        assert variant.result.until_decided.rounds < 10
        assert {each.verdict for each in variant.result.objectives} <= {"met", "broken"}
