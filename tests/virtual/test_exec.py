"""Tests `chaoskit exec FILE --clock virtual`: waits take no real time, and input from outside is all there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import warm

from chaoskit.substrate.uml import GuestKernel

LAB = Path(__file__).parents[2] / "experiments" / "loss-first-token.yaml"
PATIENCE = 180  # s


@pytest.mark.usefixtures("kernel")
def test_a_command_in_virtual_time_gets_its_input_and_the_same_times_again() -> None:
    """An hour takes seconds, input that comes slowly is complete, and every run has the same second and latencies."""
    script = "cat; date +%s; sleep 3600; curl -sS -o /dev/null -w '%{time_total}' $CHAOSKIT_TARGET/v1/models"
    words = [sys.executable, "-m", "chaoskit", "exec", str(LAB), "--fault", "wifi", "--clock", "virtual", "--", "sh"]

    first, again = (_with_slow_input([*words, "-c", script]) for _ in range(2))

    assert first == again
    assert first.startswith("first\nsecond\n1767225602\n")


def _with_slow_input(words: list[str]) -> str:
    slow = subprocess.Popen(["sh", "-c", "echo first; sleep 1; echo second"], stdout=subprocess.PIPE)
    with slow:
        return subprocess.run(
            words, stdin=slow.stdout, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True
        ).stdout


def test_a_guest_without_virtual_time_is_refused(kernel: GuestKernel) -> None:
    """The sentence names the kernel and what to type."""
    assert "virtual-time" in kernel.features
    words = ["exec", str(LAB), "--kernel", "linux.uml", "--clock", "virtual", "--", "true"]

    answer = warm.chaoskit(*words, limit=PATIENCE)

    assert (answer.returncode, answer.stdout) == (3, "")
    assert "has no virtual time: remove --kernel, or build one that has it with" in answer.stderr


def test_a_test_suites_cache_is_kept(kernel: GuestKernel, tmp_path: Path) -> None:
    """pytest makes its cache under another name and renames it, which is a directory of an overlay: no warning."""
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")
    lab = ["exec", str(LAB), "--kernel", str(kernel.path), "--out", str(tmp_path / "results")]
    words = [*lab, "--", sys.executable, "-m", "pytest", "-q", "--disable-plugin-autoload", "--rootdir", "."]

    answer = warm.chaoskit(*words, cwd=tmp_path, limit=PATIENCE)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "warning" not in answer.stdout
    assert (tmp_path / "results" / ".pytest_cache" / "v" / "cache" / "nodeids").exists()


@pytest.mark.usefixtures("kernel")
def test_the_status_of_our_kernel_tells_its_features() -> None:
    """All of them, by its configuration."""
    answer = warm.chaoskit("kernel", "status")

    assert answer.returncode == 0, answer.stderr
    assert "\n  by its configuration it has every feature\n" in answer.stdout
