"""A guest that runs out of memory: it is said, with what its kernel killed and what to type."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import warm

PATIENCE = 180  # s
EATER = """
eaten = []
while len(eaten) < 250:
    eaten.append(bytearray(b"x") * (1 << 20))
print("enough")
"""
SMALL = ("--substrate", "uml", "--guest-memory", "256MiB")
EXPERIMENT = """\
name: heavy
question: Do prompts of 100 MB fit into a small guest?
stage: {lab: edge}
workload: {protocol: openai-chat, max-concurrency: 8, prompt-size: 100MB, output-tokens: 5}
timeline: [{baseline: 20s}]
"""


def chaoskit(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Type it."""
    return warm.chaoskit(*map(str, words), limit=PATIENCE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The experiment."""
    path = tmp_path / "heavy.yaml"
    path.write_text(EXPERIMENT)
    return path


def test_a_command_that_eats_memory_is_killed_and_told(file: Path) -> None:
    """Its exit code is that of the kill; the sentence names the program and the option."""
    answer = chaoskit("exec", file, *SMALL, "--", sys.executable, "-c", EATER)

    assert (answer.returncode, answer.stdout) == (137, "")
    assert "chaoskit: the guest ran out of its 256 MiB of memory, and its kernel killed python" in answer.stderr
    assert answer.stderr.rstrip().endswith(": --guest-memory 2GB")


def test_a_victim_that_is_not_the_command_is_told_as_well(file: Path) -> None:
    """A command that goes on keeps its exit code."""
    hungry = f"{sys.executable} -c '{EATER}'; exit 5"
    answer = chaoskit("exec", file, *SMALL, "--", "sh", "-c", hungry)

    assert answer.returncode == 5
    assert "the guest ran out of its 256 MiB of memory" in answer.stderr


def test_with_more_memory_the_same_command_ends_well(file: Path) -> None:
    """The option is what the guest has."""
    words = ("--substrate", "uml", "--guest-memory", "512MiB", "--", sys.executable, "-c", EATER)
    answer = chaoskit("exec", file, *words)

    assert (answer.returncode, answer.stdout) == (0, "enough\n"), answer.stderr
    assert "--guest-memory" not in answer.stderr


def test_a_run_without_enough_memory_is_refused(file: Path, tmp_path: Path) -> None:
    """It has no verdict, and its records say why."""
    run = tmp_path / "run"
    answer = chaoskit("run", file, *SMALL, "--out", run)

    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert "chaoskit: the guest ran out of its 256 MiB of memory, and its kernel killed python" in answer.stderr
    outcome = json.loads((run / "outcome.json").read_text())
    assert outcome["how"] == "refused"
    assert "--guest-memory 2GB" in json.dumps(outcome)
